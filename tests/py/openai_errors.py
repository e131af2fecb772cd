"""Errors raise the classes that programs catch."""

import openai as sdk
from client import client, raised

openai = client()
hello = [{"role": "user", "content": "Say hello"}]


def chat(by=openai, **options):
    return by.chat.completions.create(**({"model": "gemini-2.5-flash", "messages": hello} | options))


wrong = client(api_key="sk-wrong-client")
error = raised(sdk.AuthenticationError, lambda: chat(by=wrong))
assert error.status_code == 401 and error.code == "invalid_api_key", error.body
raised(sdk.AuthenticationError, lambda: wrong.models.list())
raised(sdk.AuthenticationError, lambda: chat(by=wrong, stream=True))

for options in [{"messages": []}, {"temperature": "warm"}, {"messages": [{"role": "nobody", "content": "x"}]}]:
    error = raised(sdk.BadRequestError, lambda: chat(**options))
    assert error.type == "invalid_request_error" and error.param, (options, error.body)
    assert raised(sdk.BadRequestError, lambda: chat(stream=True, **options)).body == error.body

# The proxy does not fetch from the networks it stands in.
for url in ["http://127.0.0.1:9/x.png", "http://[::1]/x.png", "http://169.254.169.254/x.png", "file:///etc/passwd"]:
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]
    error = raised(sdk.BadRequestError, lambda: chat(messages=image))
    assert error.code == "invalid_image_url", (url, error.body)

error = raised(sdk.NotFoundError, lambda: chat(model="gpt-nonsense"))
assert error.code == "model_not_found", error.body
# Known here by its prefix, not at Google.
raised(sdk.NotFoundError, lambda: chat(model="gemini-0-nothing"))
raised(sdk.NotFoundError, lambda: openai.models.retrieve("gpt-nonsense"))
raised(sdk.NotFoundError, lambda: openai.get("/nothing", cast_to=object))
