"""Pydantic AI's models for OpenAI (chat and Responses), Anthropic and Google."""

import asyncio

from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider
from task import KEY, MODEL, QUESTION, TASK, URL, answered, get_time, get_weather, worked


async def main():
    openai = OpenAIProvider(base_url=f"{URL}/v1", api_key=KEY)
    for model in (
        OpenAIChatModel(MODEL, provider=openai),
        OpenAIResponsesModel(MODEL, provider=openai),
        AnthropicModel(MODEL, provider=AnthropicProvider(base_url=URL, api_key=KEY)),
        GoogleModel(MODEL, provider=GoogleProvider(base_url=URL, api_key=KEY)),
    ):
        print(model.__class__.__name__, flush=True)
        async with Agent(model).run_stream(QUESTION) as result:
            answered(await result.get_output())
        agent = Agent(model, tools=[get_weather, get_time])
        worked((await agent.run(TASK)).output)
        async with agent.run_stream(TASK) as result:
            worked(await result.get_output())


asyncio.run(main())
