"""A request that fails, by one SDK. Usage: `refused.py chat|responses|messages WHAT CLASS STATUS stream|whole`; WHAT is wrong in the
request itself: its `key`, `model`, `body` or size (`large`), or nothing (`ask`)."""

import sys

import anthropic
import openai
from client import BASE, KEY, client, raised

surface, what, name, status, way = sys.argv[1:]
sdk = anthropic if surface == "messages" else openai
key = "sk-wrong-client" if what == "key" else KEY
text = "Say hello" if what != "large" else "x" * (3 << 19)
request = {"model": "gpt-nonsense" if what == "model" else "gemini-2.5-flash", "stream": way == "stream"}
if surface == "responses":
    request["input"] = text
else:
    request["messages"] = [{"role": "user", "content": text}]
if surface == "messages":
    request["max_tokens"] = 0 if what == "body" else 99
    create = anthropic.Anthropic(base_url=BASE, api_key=key, max_retries=0, timeout=30).messages.create
elif what == "body":
    request["temperature"] = "warm"
if surface == "responses":
    create = client(api_key=key).responses.create
elif surface == "chat":
    create = client(api_key=key).chat.completions.create
kind = getattr(sdk, name)

error = raised(kind, lambda: create(**request))
assert error.status_code == int(status), error
shown = error.body["error"] if surface == "messages" else error.body
assert shown["message"] and shown["type"], error.body
if status == "429":
    # Once from Google's answer, once because the whole pool rests.
    again = raised(kind, lambda: create(**request))
    for error in (error, again):
        assert 0 < int(error.response.headers["retry-after"]) <= 41, error.response.headers
