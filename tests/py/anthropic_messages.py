"""Anthropic's SDK: whole and streamed messages, thinking, pictures and PDFs, counting, errors, and loops over three rounds of
tools that send back all blocks, with the model of the first argument."""

import sys

import anthropic as sdk
from client import BASE, KEY, PNG, raised

model = sys.argv[1]
claude = sdk.Anthropic(base_url=BASE, api_key=KEY, max_retries=0, timeout=30)
hello = [{"role": "user", "content": "Say hello"}]

message = claude.messages.create(model=model, max_tokens=1000, messages=hello)
assert message.type == "message" and message.role == "assistant" and message.model == model, message
assert message.content[0].text == "You said: Say hello" and message.stop_reason == "end_turn", message
assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0, message.usage
search = [{"type": "web_search_20250305", "name": "web_search"}]
found = claude.messages.create(model=model, max_tokens=1000, messages=hello, tools=search)
assert found.usage.server_tool_use.web_search_requests == 1, found.usage
for answer in (message, found):  # nothing that the types require is missing
    sdk.types.Message.model_validate(answer.to_dict())
assert message._request_id.startswith("req_"), message._request_id

with claude.messages.stream(model=model, max_tokens=1000, messages=hello) as stream:
    text = "".join(stream.text_stream)
    final = stream.get_final_message()
assert text == "You said: Say hello" == final.content[0].text and final.stop_reason == "end_turn", final

bearer = sdk.Anthropic(base_url=BASE, auth_token=KEY, api_key=None, max_retries=0)
assert bearer.messages.create(model=model, max_tokens=1000, messages=hello).stop_reason == "end_turn"

seen = [
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}},
    {"type": "text", "text": "Describe"},
]
assert claude.messages.create(model=model, max_tokens=1000, messages=[{"role": "user", "content": seen}]).content

count = claude.messages.count_tokens(model=model, messages=hello, system="Be brief.")
assert count.input_tokens > 0, count

error = raised(sdk.BadRequestError, lambda: claude.messages.create(model=model, max_tokens=0, messages=hello))
assert error.body["error"]["type"] == "invalid_request_error", error.body
raised(sdk.NotFoundError, lambda: claude.messages.create(model="gpt-nonsense", max_tokens=9, messages=hello))
wrong = sdk.Anthropic(base_url=BASE, api_key="sk-wrong-client", max_retries=0)
raised(sdk.AuthenticationError, lambda: wrong.messages.create(model=model, max_tokens=9, messages=hello))
assert [entry.id for entry in claude.models.list(limit=1000)], "models"
assert claude.models.retrieve("gemini-2.5-pro").id == "gemini-2.5-pro"


def get_weather(city):
    return f"clear in {city}"


def get_time(zone):
    return f"12:00 in {zone}"


def book(train, seats):
    return f"{seats} in {train}"


def tool(function, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"name": function.__name__, "description": function.__name__, "input_schema": schema}


text = {"type": "string"}
functions = {function.__name__: function for function in (get_weather, get_time, book)}
tools = [
    tool(get_weather, city=text),
    tool(get_time, zone=text),
    tool(book, train=text, seats={"type": "integer"}),
]
task = (
    'call:get_weather{"city":"Paris"} call:get_weather{"city":"Rom"} call:get_time{"zone":"CET"}'
    ' then call:book{"train":"TGV 9","seats":2} call:book{"train":"EC 4","seats":1}'
    ' then call:get_time{"zone":"UTC"}'
)


def ask(messages, streamed, thinking):
    request = {"model": model, "max_tokens": 9000, "messages": messages, "tools": tools}
    if thinking:
        request["thinking"] = {"type": "enabled", "budget_tokens": 4000}
    if not streamed:
        return claude.messages.create(**request)
    with claude.messages.stream(**request) as stream:
        return stream.get_final_message()


def loop(streamed, thinking):
    messages = [{"role": "user", "content": task}]
    rounds = []
    while (message := ask(messages, streamed, thinking)).stop_reason == "tool_use":
        uses = [block for block in message.content if block.type == "tool_use"]
        rounds.append([use.name for use in uses])
        messages.append({"role": "assistant", "content": message.content})
        results = [
            {"type": "tool_result", "tool_use_id": use.id, "content": functions[use.name](**use.input)} for use in uses
        ]
        messages.append({"role": "user", "content": results[::-1]})
    assert rounds == [["get_weather", "get_weather", "get_time"], ["book", "book"], ["get_time"]], rounds
    assert message.stop_reason == "end_turn" and "12:00 in UTC" in message.content[-1].text, message
    blocks = [block for message in messages if message["role"] == "assistant" for block in message["content"]]
    signed = [block for block in blocks if block.type == "thinking" and block.signature]
    assert bool(signed) == (thinking and model.startswith("gemini-3")), blocks


for streamed in (False, True):
    for thinking in (False, True):
        loop(streamed, thinking)
