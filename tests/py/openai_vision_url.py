"""A picture by its address: arguments are a good address and one that is no picture."""

import sys

import openai as sdk
from client import client

openai = client()
good, bad = sys.argv[1:]


def ask(url, **more):
    image = {"type": "image_url", "image_url": {"url": url}}
    words = {"type": "text", "text": "What is this?"}
    messages = [{"role": "user", "content": [words, image]}]
    return openai.chat.completions.create(model="gemini-2.5-flash", messages=messages, **more)


answer = ask(good)
assert answer.choices[0].finish_reason == "stop", answer
assert answer.usage.prompt_tokens >= 258, "the image counts"
streamed = "".join(chunk.choices[0].delta.content or "" for chunk in ask(good, stream=True) if chunk.choices)
assert streamed == answer.choices[0].message.content, streamed
try:
    ask(bad)
except sdk.BadRequestError as error:
    assert error.code == "invalid_image_url", error.body
    assert error.param == "messages[0].content[1].image_url.url", error.body
else:
    raise AssertionError("a page is no picture")
