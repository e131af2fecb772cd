"""The native surface with Google's own SDK. Usage: `google_genai.py oauth|api_key|vertex`; Code Assist makes no
embeddings, and passes nothing on."""

import os
import sys

from google import genai
from google.oauth2.credentials import Credentials
from google.genai import errors, types
from pydantic import BaseModel

pool = sys.argv[1]


def client(key=os.environ["PROXY_KEY"], version=None, **options):
    http = types.HttpOptions(base_url=os.environ["PROXY_URL"], timeout=30_000, api_version=version)
    return genai.Client(**({"api_key": key} | options), http_options=http)


google = client()
model = "gemini-2.5-flash"


def failure(call):
    try:
        call()
    except errors.APIError as error:
        return error
    raise AssertionError("no APIError")


answer = google.models.generate_content(
    model=model,
    contents="Say hello",
    config=types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.5, stop_sequences=["END"]),
)
assert answer.text == "You said: Say hello", answer
assert answer.candidates[0].finish_reason == types.FinishReason.STOP, answer
assert any(part.thought for part in answer.candidates[0].content.parts), "thoughts are shown unless the client chose"
assert answer.usage_metadata.total_token_count > 0 and answer.response_id and answer.model_version == model, answer

chunks = list(google.models.generate_content_stream(model=model, contents="Say hello"))
assert len(chunks) > 1, chunks
assert "".join(chunk.text or "" for chunk in chunks) == "You said: Say hello", chunks
assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP, chunks[-1]

declaration = types.FunctionDeclaration(
    name="get_weather",
    description="The weather in a city.",
    parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declaration])])
answer = google.models.generate_content(model=model, contents='call:get_weather{"city":"Paris"}', config=config)
assert [(call.name, call.args) for call in answer.function_calls] == [("get_weather", {"city": "Paris"})], answer


def get_weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: its name
    """
    return f"clear in {city}"


# The SDK calls the function itself; Gemini 3 refuses a conversation whose signatures are lost.
for name in ("gemini-2.5-flash", "gemini-3-flash-preview"):
    chat = google.chats.create(model=name, config=types.GenerateContentConfig(tools=[get_weather]))
    answer = chat.send_message('call:get_weather{"city":"Paris"} then call:get_weather{"city":"Rome"}')
    assert "clear in Rome" in answer.text, answer
    assert chat.send_message("And now?").text == "You said: And now?"


class City(BaseModel):
    name: str
    people: int


answer = google.models.generate_content(
    model=model,
    contents="A city",
    config=types.GenerateContentConfig(response_mime_type="application/json", response_schema=City),
)
assert isinstance(answer.parsed, City), answer

assert google.models.count_tokens(model=model, contents="Say hello").total_tokens > 0

models = list(google.models.list())
names = [entry.name for entry in models]
assert f"models/{model}" in names, names
assert all(entry.input_token_limit and "generateContent" in entry.supported_actions for entry in models), models
assert google.models.get(model=model).name == f"models/{model}"

embed = {"model": "gemini-embedding-001", "contents": ["one", "two"]}
if pool != "oauth":
    vectors = google.models.embed_content(**embed).embeddings
    assert [len(vector.values) for vector in vectors] == [3072, 3072], vectors
    assert vectors[0].values != vectors[1].values
    small = google.models.embed_content(
        model="gemini-embedding-001", contents="one", config=types.EmbedContentConfig(output_dimensionality=8)
    )
    assert len(small.embeddings[0].values) == 8
else:
    error = failure(lambda: google.models.embed_content(**embed))
    assert error.code >= 400 and "API key" in error.message, error

# Whatever version the SDK is told, and whether it believes to speak with Vertex.
vertex = {"vertexai": True}
project = vertex | {
    "api_key": None,
    "project": "some-project",
    "location": "us-central1",
    "credentials": Credentials(os.environ["PROXY_KEY"]),
}
for options in [{}, vertex, project]:
    for version in [None, "v1", "v1beta", "v1alpha", "v1beta1"]:
        told = client(version=version, **options)
        answer = told.models.generate_content(model=model, contents="Say hello")
        assert answer.text == "You said: Say hello", (options, version, answer)
        chunks = list(told.models.generate_content_stream(model=model, contents="Say hello"))
        assert "".join(chunk.text or "" for chunk in chunks) == "You said: Say hello", (options, version, chunks)
        assert told.models.count_tokens(model=model, contents="Say hello").total_tokens > 0, (options, version)
        assert f"models/{model}" in [entry.name for entry in told.models.list()], (options, version)
        assert told.models.get(model=model).name == f"models/{model}", (options, version)
        if pool == "api_key":
            assert list(told.caches.list()) == [], (options, version)
            if not options:
                assert list(told.files.list()) == [], version
        if pool != "oauth":
            small = types.EmbedContentConfig(output_dimensionality=8, task_type="RETRIEVAL_QUERY")
            vectors = told.models.embed_content(model="gemini-embedding-001", contents=["one"], config=small).embeddings
            assert [len(vector.values) for vector in vectors] == [8], (options, version, vectors)

# The older method for vectors, whose models only Vertex AI has.
if pool == "vertex":
    told = client(**vertex)
    vectors = told.models.embed_content(model="text-embedding-005", contents=["one", "two"], config=small)
    assert [len(vector.values) for vector in vectors.embeddings] == [8, 8], vectors

# Where the address is wrong, the error says so in words.
for version in ["v1beta7", "v7"]:
    lost = client(version=version)
    error = failure(lambda: lost.models.generate_content(model=model, contents="hi"))
    assert (error.code, error.status) == (404, "NOT_FOUND"), error
    assert "is not served here" in error.message and "v1beta" in error.message, error

# A client that nobody holds closes itself.
stranger = client("sk-wrong-client")
error = failure(lambda: stranger.models.generate_content(model=model, contents="hi"))
assert (error.code, error.status) == (401, "UNAUTHENTICATED"), error
error = failure(lambda: google.models.generate_content(model="gpt-nonsense", contents="hi"))
assert (error.code, error.status) == (404, "NOT_FOUND"), error
hot = types.GenerateContentConfig(temperature=9.5)
error = failure(lambda: google.models.generate_content(model=model, contents="hi", config=hot))
assert (error.code, error.status) == (400, "INVALID_ARGUMENT"), error
error = failure(lambda: list(google.models.generate_content_stream(model="gpt-nonsense", contents="hi")))
assert (error.code, error.status) == (404, "NOT_FOUND"), error
