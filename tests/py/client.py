"""What the OpenAI scripts share: the client, and PNGs."""

import os

from openai import OpenAI

BASE = os.environ["PROXY_URL"]
KEY = os.environ["PROXY_KEY"]
# One transparent pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def client(**options):
    options = {"base_url": f"{BASE}/v1", "api_key": KEY, "max_retries": 0, "timeout": 30} | options
    return OpenAI(**options)


def raised(kind, call):
    """The exception that `call` raises, which must be exactly a `kind`."""
    try:
        answer = call()
    except Exception as error:
        assert type(error) is kind, f"{type(error).__name__} instead of {kind.__name__}: {error}"
        return error
    raise AssertionError(f"no {kind.__name__}, but {answer!r}")
