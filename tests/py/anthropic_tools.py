"""The tool runner over three rounds with parallel calls, streamed and not, with the model of the first argument. It would keep the
conversation at the server and goes on without that when it learns that nothing is kept."""

import sys

from anthropic import Anthropic, beta_tool
from client import BASE, KEY

claude = Anthropic(base_url=BASE, api_key=KEY, max_retries=0, timeout=30)
content = (
    'call:get_weather{"city":"Paris"} call:get_weather{"city":"Rome"}'
    ' then call:get_time{"zone":"CET"} then call:get_time{"zone":"UTC"}'
)
called = []


@beta_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    called.append(city)
    return f"clear in {city}"


@beta_tool
def get_time(zone: str) -> str:
    """The time in a zone."""
    called.append(zone)
    return f"12:00 in {zone}"


for stream in (False, True):
    called.clear()
    runner = claude.beta.messages.tool_runner(
        model=sys.argv[1],
        stream=stream,
        max_tokens=9000,
        thinking={"type": "enabled", "budget_tokens": 4000},
        messages=[{"role": "user", "content": content}],
        tools=[get_weather, get_time],
    )
    message = runner.until_done()
    assert called == ["Paris", "Rome", "CET", "UTC"], called
    assert message.stop_reason == "end_turn" and "12:00 in UTC" in message.content[-1].text, message
