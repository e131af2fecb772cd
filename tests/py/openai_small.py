"""Embeddings, in both encodings, and legacy completions with the official OpenAI SDK."""

from client import client

openai = client()

# The SDK asks for base64 and decodes it, unless told otherwise.
decoded = openai.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
assert [entry.index for entry in decoded.data] == [0, 1], decoded
assert all(len(entry.embedding) == 1536 for entry in decoded.data)
plain = openai.embeddings.create(model="text-embedding-3-small", input=["one", "two"], encoding_format="float")
for one, other in zip(plain.data, decoded.data):
    assert all(abs(a - b) < 1e-8 for a, b in zip(one.embedding, other.embedding, strict=True)), "the same vectors"
for entry in plain.data:
    assert abs(sum(value * value for value in entry.embedding) - 1) < 1e-4, "vectors have length one"
short = openai.embeddings.create(model="gemini-embedding-001", input="one", dimensions=8)
assert len(short.data[0].embedding) == 8 and short.model == "gemini-embedding-001", short

answer = openai.completions.create(model="gemini-2.5-flash", prompt="Say hello", max_tokens=50, echo=True)
assert answer.object == "text_completion" and answer.id.startswith("cmpl-"), answer
assert answer.choices[0].text == "Say helloYou said: Say hello", answer
assert answer.choices[0].finish_reason == "stop" and answer.usage.total_tokens > 0, answer

chunks = list(
    openai.completions.create(
        model="gemini-2.5-flash", prompt="Say hello", stream=True, stream_options={"include_usage": True}
    )
)
assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == "You said: Say hello", chunks
assert [c.choices[0].finish_reason for c in chunks[:-1] if c.choices[0].finish_reason] == ["stop"], chunks
assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0, chunks[-1]
