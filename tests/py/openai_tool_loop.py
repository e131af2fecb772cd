"""Loops over three rounds of tools, two of them parallel, with the model of the first argument: streamed and not, sending
back all that came (with `extra_content`) and only what OpenAI's own types have, as many clients do."""

import json
import sys

from client import client

model = sys.argv[1]
openai = client()


def get_weather(city):
    return {"city": city, "sky": "clear"}


def get_time(zone):
    return f"12:00 in {zone}"


def book(train, seats):
    return [train, seats]


def tool(function, **parameters):
    schema = {"type": "object", "properties": parameters, "required": list(parameters), "additionalProperties": False}
    return {"type": "function", "function": {"name": function.__name__, "parameters": schema, "strict": True}}


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


def ask(messages, streamed):
    request = {"model": model, "messages": messages, "tools": tools}
    if not streamed:
        return openai.chat.completions.create(**request).choices[0]
    with openai.chat.completions.stream(**request) as stream:
        return stream.get_final_completion().choices[0]


def whole(message):
    return message.model_dump(exclude_none=True)


def plain(message):
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}}
        for call in message.tool_calls
    ]
    return {"role": "assistant", "content": message.content, "tool_calls": calls}


def loop(streamed, sent_back):
    messages = [{"role": "user", "content": task}]
    rounds = []
    while (choice := ask(messages, streamed)).finish_reason == "tool_calls":
        calls = choice.message.tool_calls
        rounds.append([call.function.name for call in calls])
        messages.append(sent_back(choice.message))
        # Results may come back in any order.
        for call in reversed(calls):
            result = functions[call.function.name](**json.loads(call.function.arguments))
            content = result if isinstance(result, str) else json.dumps(result)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
    assert rounds == [["get_weather", "get_weather", "get_time"], ["book", "book"], ["get_time"]], rounds
    identifiers = [call["id"] for message in messages for call in message.get("tool_calls", [])]
    assert len(set(identifiers)) == len(identifiers) == 6, identifiers
    assert choice.finish_reason == "stop" and "12:00 in UTC" in choice.message.content, choice
    return messages


for streamed in (False, True):
    kept = loop(streamed, whole)
    # Gemini 3 signs the first call of each step; the client sees it where Google's own OpenAI surface puts it.
    signed = ["extra_content" in call for message in kept for call in message.get("tool_calls", [])]
    assert signed == [model.startswith("gemini-3") and at in (0, 3, 5) for at in range(6)], signed
    loop(streamed, plain)
