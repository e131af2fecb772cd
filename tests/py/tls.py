"""OpenAI's SDK over TLS, with the authority that the listener's certificate is under; argument 1 is its file."""

import ssl
import sys
import urllib.request

import httpx2
import requests
from openai import APIConnectionError

from client import BASE, KEY, client, raised

authority = ssl.create_default_context(cafile=sys.argv[1])
openai = client(http_client=httpx2.Client(verify=authority))
for _ in range(3):
    answer = openai.chat.completions.create(model="gemini-2.5-flash", messages=[{"role": "user", "content": "Hi"}])
    assert answer.choices[0].message.content
stream = openai.chat.completions.create(
    model="gemini-2.5-flash", stream=True, messages=[{"role": "user", "content": "Hi"}]
)
assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
raised(APIConnectionError, lambda: client().models.list())

for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    only = ssl.create_default_context(cafile=sys.argv[1])
    only.minimum_version = only.maximum_version = version
    request = urllib.request.Request(f"{BASE}/v1/models", headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, context=only) as answer:
        assert answer.status == 200 and b"gemini" in answer.read()

headers = {"Authorization": f"Bearer {KEY}"}
with requests.Session() as session:
    for _ in range(3):
        assert session.get(f"{BASE}/v1/models", headers=headers, verify=sys.argv[1]).status_code == 200
