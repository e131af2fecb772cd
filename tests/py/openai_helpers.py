"""The SDK's helpers: `parse` and `stream` with pydantic schemas and tools, JSON mode, forced and forbidden tools."""

import enum
import json
import sys

import openai as sdk
from client import client, raised
from pydantic import BaseModel, Field

openai = client()
model = sys.argv[1]


class Unit(str, enum.Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


class Place(BaseModel):
    """Where it is."""

    city: str
    country: str | None = None


class GetWeather(BaseModel):
    """The weather at a place."""

    place: Place
    unit: Unit = Field(description="of the answer")
    days: int = Field(ge=1, le=7)


class Step(BaseModel):
    explanation: str
    output: float


class Solution(BaseModel):
    steps: list[Step]
    units: dict[str, Unit] | None
    final: str


def user(text):
    return [{"role": "user", "content": text}]


chat = openai.chat.completions
tools = [sdk.pydantic_function_tool(GetWeather, name="get_weather")]
call = 'call:get_weather{"place": {"city": "Zürich", "country": null}, "unit": "celsius", "days": 3}'
wanted = GetWeather(place=Place(city="Zürich"), unit=Unit.CELSIUS, days=3)

answer = chat.parse(model=model, messages=user("Solve 2x = 4"), response_format=Solution)
assert isinstance(answer.choices[0].message.parsed, Solution), answer
assert answer.choices[0].finish_reason == "stop", answer

answer = chat.parse(model=model, messages=user(call), tools=tools)
calls = answer.choices[0].message.tool_calls
assert answer.choices[0].finish_reason == "tool_calls", answer
assert len(calls) == 1 and calls[0].type == "function" and calls[0].id, calls
assert calls[0].function.name == "get_weather" and calls[0].function.parsed_arguments == wanted, calls
assert not answer.choices[0].message.content, answer

with chat.stream(model=model, messages=user("Solve 2x = 4"), response_format=Solution) as stream:
    kinds = [event.type for event in stream]
    final = stream.get_final_completion()
assert isinstance(final.choices[0].message.parsed, Solution), final
assert "content.delta" in kinds and kinds.count("content.done") == 1, kinds

options = {"model": model, "tools": tools, "stream_options": {"include_usage": True}}
with chat.stream(messages=user(f"{call} {call.replace('Zürich', 'Paris')}"), **options) as stream:
    done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
    final = stream.get_final_completion()
assert [event.index for event in done] == [0, 1], done
assert done[0].parsed_arguments == wanted and done[1].parsed_arguments.place.city == "Paris", done
calls = final.choices[0].message.tool_calls
assert len({call.id for call in calls}) == 2 and final.choices[0].finish_reason == "tool_calls", final
assert final.usage.total_tokens > 0, final

answer = chat.create(model=model, messages=user("hi"), tools=tools, tool_choice="required")
assert [call.function.name for call in answer.choices[0].message.tool_calls] == ["get_weather"], answer
choice = {"type": "function", "function": {"name": "get_weather"}}
answer = chat.create(model=model, messages=user("hi"), tools=tools, tool_choice=choice)
assert GetWeather.model_validate_json(answer.choices[0].message.tool_calls[0].function.arguments)
answer = chat.create(model=model, messages=user(call), tools=tools, tool_choice="none")
assert answer.choices[0].message.tool_calls is None and answer.choices[0].finish_reason == "stop", answer

answer = chat.create(
    model=model, messages=user("Answer as JSON"), response_format={"type": "json_object"}, temperature=0, seed=7
)
assert json.loads(answer.choices[0].message.content) == {"answer": "You said: Answer as JSON"}, answer

# The helper raises when the answer was cut, as it does with OpenAI.
raised(
    sdk.LengthFinishReasonError,
    lambda: chat.parse(model=model, messages=user("Solve"), response_format=Solution, max_tokens=8),
)
