"""What every library is asked: a text, then two calls at once and one after them."""

import os

URL, KEY, MODEL = os.environ["PROXY_URL"], os.environ["PROXY_KEY"], os.environ["MODEL"]
QUESTION = "How are you"
TASK = 'call:get_weather{"city":"Paris"} call:get_weather{"city":"Rome"} then call:get_time{"zone":"CET"}'
called = []


def get_weather(city: str) -> str:
    """Says how the weather is in a city."""
    called.append(city)
    return f"clear in {city}"


def get_time(zone: str) -> str:
    """Says what time it is in a zone."""
    called.append(zone)
    return f"noon in {zone}"


def answered(text):
    assert QUESTION in text, text


def worked(text):
    assert sorted(called[:2]) == ["Paris", "Rome"] and called[2:] == ["CET"], called
    assert "noon in CET" in text, text
    called.clear()
