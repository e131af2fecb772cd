"""The Responses API of the official SDK: whole, streamed, parsed, and tools over three rounds."""

import json
import sys

from client import client, raised
from openai import BadRequestError, NotFoundError
from pydantic import BaseModel

model = sys.argv[1]
openai = client()

whole = openai.responses.create(model=model, input="Say hello")
assert whole.output_text == "You said: Say hello", whole
assert whole.status == "completed" and whole.usage.input_tokens_details is not None
type(whole).model_validate(whole.to_dict())  # nothing that the types require is missing

with openai.responses.stream(model=model, input="Say hello") as stream:
    deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
    final = stream.get_final_response()
assert deltas == final.output_text == "You said: Say hello", (deltas, final)


class Person(BaseModel):
    name: str
    age: int


parsed = openai.responses.parse(model=model, input="Make one up", text_format=Person)
assert isinstance(parsed.output_parsed, Person), parsed

# A conversation by ids: the server has the rest of it.
first = openai.responses.create(model=model, input="One")
second = openai.responses.create(model=model, input="Two", previous_response_id=first.id)
assert second.previous_response_id == first.id and openai.responses.retrieve(second.id).output_text == "You said: Two"
given = openai.responses.input_items.list(second.id, order="asc")
assert [item.role for item in given] == ["user", "assistant", "user"], given
assert openai.responses.input_tokens.count(model=model, input="Three").input_tokens > 0
compacted = openai.responses.compact(model=model, input="Three", previous_response_id=second.id)
assert compacted.output[-1].type == "compaction", compacted
openai.responses.delete(first.id)
raised(NotFoundError, lambda: openai.responses.retrieve(first.id))
raised(BadRequestError, lambda: openai.responses.create(model=model, input="Two", previous_response_id=first.id))
raised(BadRequestError, lambda: openai.responses.cancel(second.id))


def tool(name, field):
    parameters = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}
    return {"type": "function", "name": name, "description": name, "parameters": parameters, "strict": False}


tools = [tool("get_weather", "city"), tool("get_time", "zone")]
asked = 'call:get_weather{"city":"Paris"} call:get_weather{"city":"Rome"} then call:get_time{"zone":"CET"} then call:get_time{"zone":"UTC"}'
for streamed in (False, True):
    conversation = [{"role": "user", "content": asked}]
    called = []
    while True:
        request = dict(
            model=model,
            input=conversation,
            tools=tools,
            store=False,
            reasoning={"summary": "auto"},
            include=["reasoning.encrypted_content"],
        )
        if streamed:
            with openai.responses.stream(**request) as stream:
                for _ in stream:
                    pass
                answer = stream.get_final_response()
        else:
            answer = openai.responses.create(**request)
        conversation += [item.to_dict() for item in answer.output]
        calls = [item for item in answer.output if item.type == "function_call"]
        if not calls:
            break
        for call in calls:
            arguments = json.loads(call.arguments)
            called.append(f"{call.name} {next(iter(arguments.values()))}")
            output = {"type": "function_call_output", "call_id": call.call_id, "output": f"{call.name} is done"}
            conversation.append(output)
    assert called == ["get_weather Paris", "get_weather Rome", "get_time CET", "get_time UTC"], called
    assert "get_time is done" in answer.output_text, answer.output_text
