"""litellm as a client, by its providers for OpenAI, Anthropic and Gemini; the history is what its messages become as JSON."""

import json

import litellm
from task import KEY, MODEL, QUESTION, TASK, URL, answered, get_time, get_weather, worked

FUNCTIONS = {"get_weather": (get_weather, "city"), "get_time": (get_time, "zone")}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]},
        },
    }
    for name, (_, key) in FUNCTIONS.items()
]

for provider, base in (("openai", f"{URL}/v1"), ("anthropic", URL), ("gemini", URL)):
    print(provider, flush=True)
    common = {"model": f"{provider}/{MODEL}", "api_base": base, "api_key": KEY, "num_retries": 0, "max_tokens": 2000}

    def ask(messages, streamed, **more):
        answer = litellm.completion(messages=messages, stream=streamed, **common, **more)
        answer = litellm.stream_chunk_builder(list(answer), messages=messages) if streamed else answer
        return answer.choices[0].message

    answered(ask([{"role": "user", "content": QUESTION}], True).content)
    for streamed in (False, True):
        messages = [{"role": "user", "content": TASK}]
        while (message := ask(messages, streamed, tools=TOOLS)).tool_calls:
            messages.append(json.loads(message.model_dump_json()))
            for call in message.tool_calls:
                run, key = FUNCTIONS[call.function.name]
                result = run(json.loads(call.function.arguments)[key])
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        worked(message.content)
