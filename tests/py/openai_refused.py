"""Google refuses. Usage: `openai_refused.py CLASS STATUS stream|whole`."""

import sys

import openai as sdk
from client import client, raised

kind, status, stream = getattr(sdk, sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "stream"
hello = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Say hello"}], "stream": stream}

error = raised(kind, lambda: client().chat.completions.create(**hello))
assert error.status_code == status, error
assert error.message and error.type, error.body
if kind is sdk.RateLimitError:
    # Once from Google's answer, once because the whole pool rests.
    again = raised(kind, lambda: client().chat.completions.create(**hello))
    for error in (error, again):
        assert 0 < int(error.response.headers["retry-after"]) <= 41, error.response.headers
