"""A Gemini 3 tool conversation that began on another proxy, whose memory of signatures is lost here, with a client that keeps
only what OpenAI's own types have. Usage: `openai_moved.py URL-OF-THE-OTHER`."""

import json
import sys

from client import client

tools = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
cities = ["Paris", "Rome", "Bonn"]
task = " then ".join("call:get_weather" + json.dumps({"city": city}) for city in cities)
messages = [{"role": "user", "content": task}]
for city, openai in zip(cities, [client(base_url=f"{sys.argv[1]}/v1"), client(), client()]):
    answer = openai.chat.completions.create(model="gemini-3.1-pro-preview", messages=messages, tools=tools)
    (call,) = answer.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == {"city": city}, call
    function = {"name": call.function.name, "arguments": call.function.arguments}
    messages.append({"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": function}]})
    messages.append({"role": "tool", "tool_call_id": call.id, "content": f"clear in {city}"})
answer = client().chat.completions.create(model="gemini-3.1-pro-preview", messages=messages, tools=tools)
assert "clear in Bonn" in answer.choices[0].message.content, answer
