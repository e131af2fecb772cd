"""Chat, streamed chat with usage, the model list and an image, with the official OpenAI SDK."""

from client import PNG, client

openai = client()
hello = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello"}]

answer = openai.chat.completions.create(model="gemini-2.5-flash", messages=hello)
assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-"), answer
assert answer.model == "gemini-2.5-flash", answer.model
assert len(answer.choices) == 1 and answer.choices[0].index == 0, answer
assert answer.choices[0].finish_reason == "stop", answer
assert answer.choices[0].message.role == "assistant", answer
assert answer.choices[0].message.content == "You said: Say hello", answer
assert answer.choices[0].message.reasoning_content, "thoughts arrive"
usage = answer.usage
assert usage.prompt_tokens > 0 and usage.completion_tokens > 0, usage
assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage
assert usage.completion_tokens_details.reasoning_tokens > 0, usage
assert answer._request_id, "the SDK shows the X-Request-ID"

stream = openai.chat.completions.create(
    model="gemini-2.5-flash", messages=hello, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
assert all(chunk.object == "chat.completion.chunk" for chunk in chunks)
assert len({chunk.id for chunk in chunks}) == 1, "one id for one answer"
assert chunks[0].choices[0].delta.role == "assistant", chunks[0]
assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0, chunks[-1]
assert all(chunk.usage is None for chunk in chunks[:-1])
choices = [chunk.choices[0] for chunk in chunks[:-1]]
assert "".join(choice.delta.content or "" for choice in choices) == "You said: Say hello"
assert "".join(getattr(choice.delta, "reasoning_content", None) or "" for choice in choices), "thoughts arrive"
assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
assert sum(1 for choice in choices if choice.delta.content) > 1, "the answer comes in pieces"

without = list(openai.chat.completions.create(model="gemini-2.5-flash", messages=hello, stream=True))
assert all(chunk.usage is None and chunk.choices for chunk in without), "no usage unless asked"

models = list(openai.models.list())
names = [model.id for model in models]
assert "gemini-2.5-flash" in names and "gemini-2.5-pro-search" in names, names
assert names == sorted(names), names
assert all(isinstance(model.created, int) and model.owned_by == "google" for model in models)
assert openai.models.retrieve("gemini-2.5-pro").id == "gemini-2.5-pro"

image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
words = {"type": "text", "text": "What is this?"}
answer = openai.chat.completions.create(
    model="gemini-2.5-flash", messages=[{"role": "user", "content": [words, image]}]
)
assert answer.choices[0].message.content == "You said: What is this?", answer
assert answer.usage.prompt_tokens >= 258, "the image counts"
