"""Google refuses: usage is `openai_refused.py CLASS STATUS`, streamed and not."""

import sys

import openai as sdk
from client import client, raised

kind, status = getattr(sdk, sys.argv[1]), int(sys.argv[2])
for stream in (False, True):
    hello = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Say hello"}], "stream": stream}
    error = raised(kind, lambda: client().chat.completions.create(**hello))
    assert error.status_code == status, error
    assert error.message and error.type, error.body
    if kind is sdk.RateLimitError:
        assert int(error.response.headers["retry-after"]) > 0, error.response.headers
