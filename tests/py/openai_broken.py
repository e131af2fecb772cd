"""Google's answer breaks off after its first pieces: the program hears of it and does not take a part for the whole."""

import openai as sdk
from client import client, raised

hello = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Say hello"}]}
received = []


def read():
    for chunk in client().chat.completions.create(stream=True, **hello):
        received.append(chunk)


error = raised(sdk.APIError, read)
assert error.message, error
assert any(chunk.choices[0].delta.content for chunk in received), "what came before arrived"
assert not any(chunk.choices[0].finish_reason for chunk in received), received
