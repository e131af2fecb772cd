"""openai-agents: one agent hands over to another, who calls a tool, by the Responses API and by chat, whole and streamed, and
OpenAI's own tools that run on the user's machine, with the model of the first argument."""

import asyncio
import sys

from agents import (
    Agent,
    ApplyPatchTool,
    LocalShellTool,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    ShellCallOutcome,
    ShellCommandOutput,
    ShellResult,
    ShellTool,
    function_tool,
    set_tracing_disabled,
)
from agents.editor import ApplyPatchResult
from client import BASE, KEY
from openai import AsyncOpenAI

set_tracing_disabled(True)
name = sys.argv[1]
called = []


@function_tool
def get_weather(city: str) -> str:
    called.append(city)
    return f"clear in {city}"


async def local_shell(request):
    return f"ran {request.data.action.command[0]}"


async def shell(request):
    outcome = ShellCallOutcome(type="exit", exit_code=0)
    return ShellResult(output=[ShellCommandOutput(stdout="ran it", stderr="", outcome=outcome)])


class Editor:
    def create_file(self, operation):
        return ApplyPatchResult(output=f"ran {operation.path}")

    update_file = delete_file = create_file


async def main():
    client = AsyncOpenAI(base_url=f"{BASE}/v1", api_key=KEY, max_retries=0, timeout=30)
    for model in (
        OpenAIResponsesModel(model=name, openai_client=client),
        OpenAIChatCompletionsModel(model=name, openai_client=client),
    ):
        for streamed in (False, True):
            called.clear()
            expert = Agent(name="Expert", instructions="You know the weather.", model=model, tools=[get_weather])
            front = Agent(name="Front", instructions="You hand over.", model=model, handoffs=[expert])
            task = 'call:transfer_to_expert{} then call:get_weather{"city":"Paris"} call:get_weather{"city":"Rome"}'
            if streamed:
                result = Runner.run_streamed(front, task)
                async for _ in result.stream_events():
                    pass
            else:
                result = await Runner.run(front, task)
            assert result.last_agent.name == "Expert", result.last_agent
            assert sorted(called) == ["Paris", "Rome"], called
            assert "clear in Rome" in result.final_output, result.final_output
    for tool, call in (
        (LocalShellTool(executor=local_shell), 'local_shell{"command":["ls"]}'),
        (ShellTool(executor=shell), 'shell{"commands":["ls"]}'),
        (ApplyPatchTool(editor=Editor()), 'apply_patch{"type":"create_file","path":"a","diff":"+x"}'),
    ):
        model = OpenAIResponsesModel(model=name, openai_client=client)
        result = await Runner.run(Agent(name="One", model=model, tools=[tool]), f"call:{call}")
        assert "ran " in result.final_output, result.final_output


asyncio.run(main())
