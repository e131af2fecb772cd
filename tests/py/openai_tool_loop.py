"""A loop over three rounds of tools, two of them parallel. Usage: `openai_tool_loop.py MODEL stream|whole keep|drop`, where
`drop` sends back only what OpenAI's own types have, as many clients do."""

import json
import sys

from client import client

model, way, extras = sys.argv[1:]
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


def ask(messages):
    request = {"model": model, "messages": messages, "tools": tools}
    if way == "whole":
        return openai.chat.completions.create(**request).choices[0]
    with openai.chat.completions.stream(**request) as stream:
        for event in stream:
            pass
        return stream.get_final_completion().choices[0]


def sent_back(message):
    whole = message.model_dump(exclude_none=True)
    if extras == "keep":
        return whole
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}}
        for call in message.tool_calls
    ]
    return {"role": "assistant", "content": message.content, "tool_calls": calls}


messages = [{"role": "user", "content": task}]
rounds = []
while True:
    choice = ask(messages)
    if choice.finish_reason != "tool_calls":
        break
    calls = choice.message.tool_calls
    rounds.append([call.function.name for call in calls])
    messages.append(sent_back(choice.message))
    # Results may come back in any order.
    for call in reversed(calls):
        result = functions[call.function.name](**json.loads(call.function.arguments))
        content = result if isinstance(result, str) else json.dumps(result)
        messages.append({"role": "tool", "tool_call_id": call.id, "content": content})

assert rounds == [["get_weather", "get_weather", "get_time"], ["book", "book"], ["get_time"]], rounds
identifiers = [call["id"] for message in messages if message.get("tool_calls") for call in message["tool_calls"]]
assert len(set(identifiers)) == len(identifiers), identifiers
assert choice.finish_reason == "stop", choice
assert "12:00 in UTC" in choice.message.content, choice.message.content
