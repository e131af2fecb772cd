"""LangChain's chat models for OpenAI (chat and Responses), Anthropic and Google, and its agent."""

from task import KEY, MODEL, QUESTION, TASK, URL, answered, get_time, get_weather, worked

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI

for model in (
    ChatOpenAI(model=MODEL, base_url=f"{URL}/v1", api_key=KEY, max_retries=0),
    ChatOpenAI(model=MODEL, base_url=f"{URL}/v1", api_key=KEY, max_retries=0, use_responses_api=True),
    ChatAnthropic(model=MODEL, base_url=URL, api_key=KEY, max_retries=0),
    ChatGoogleGenerativeAI(model=MODEL, base_url=URL, api_key=KEY, max_retries=1),
):
    print(model.__class__.__name__, flush=True)
    answered("".join(chunk.text for chunk in model.stream(QUESTION)))
    agent = create_agent(model, tools=[get_weather, get_time])
    for streamed in (False, True):
        task = {"messages": [("user", TASK)]}
        if streamed:
            *_, last = agent.stream(task, stream_mode="values")
        else:
            last = agent.invoke(task)
        worked(last["messages"][-1].text)
