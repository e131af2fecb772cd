"""Pictures, speech and transcripts with the official OpenAI SDK."""

import base64
import io
import wave

import openai as sdk
from client import client

openai = client()
model = "gemini-3.1-flash-image"

made = openai.images.generate(model=model, prompt="a fox", n=3, size="1024x1536", quality="high")
assert len(made.data) == 3 and made.usage.total_tokens > 0, made
picture = base64.b64decode(made.data[0].b64_json)
assert picture.startswith(b"\x89PNG") and made.output_format == "png" and made.size == "1x1", made
url = openai.images.generate(model=model, prompt="a fox", response_format="url").data[0].url
assert url.startswith("data:image/png;base64,"), url
events = list(openai.images.generate(model=model, prompt="a fox", stream=True))
assert [event.type for event in events] == ["image_generation.completed"], events
assert base64.b64decode(events[0].b64_json) == picture and events[0].usage.total_tokens > 0

one = openai.images.edit(model=model, image=("a.png", picture), prompt="bluer")
assert len(one.data) == 1, one
several = openai.images.edit(
    model=model, image=[("a.png", picture), io.BytesIO(picture)], mask=("m.png", picture), prompt="bluer", n=2
)
assert len(several.data) == 2, several
events = list(openai.images.edit(model=model, image=("a.png", picture), prompt="bluer", stream=True))
assert [event.type for event in events] == ["image_edit.completed"], events
try:
    openai.images.generate(model="gemini-2.5-flash", prompt="a fox")
except sdk.BadRequestError as error:
    assert error.param == "model" and model in error.message, error
else:
    raise AssertionError("a text model makes no pictures")

speech = openai.audio.speech.create(model="tts-1", input="Hi", voice="nova", response_format="wav")
with wave.open(io.BytesIO(speech.read())) as file:
    assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (24000, 1, 12000)
spoken = openai.audio.speech.create(model="tts-1", input="Hi", voice="nova")
assert spoken.response.headers["content-type"] == "audio/mpeg" and spoken.content.startswith(b"\xff\xf3"), spoken
with openai.audio.speech.with_streaming_response.create(
    model="gpt-4o-mini-tts", input="Hi", voice="alloy", instructions="Softly.", response_format="pcm"
) as streamed:
    assert len(b"".join(streamed.iter_bytes())) == 24000
with openai.audio.speech.with_streaming_response.create(
    model="tts-1", input="Hi", voice="alloy", stream_format="sse", response_format="pcm"
) as streamed:
    assert "speech.audio.done" in streamed.text() if hasattr(streamed, "text") else streamed.read()

sound = ("a.wav", speech.read())
text = "The quick fox jumps. Over the dog & <more>."
for name in ["whisper-1", "gpt-4o-transcribe", "gemini-3.5-transcribe"]:
    assert openai.audio.transcriptions.create(model=name, file=sound).text == text
assert openai.audio.transcriptions.create(model="whisper-1", file=sound, response_format="text").strip() == text
assert "-->" in openai.audio.transcriptions.create(model="whisper-1", file=sound, response_format="srt")
assert openai.audio.transcriptions.create(model="whisper-1", file=sound, response_format="vtt").startswith("WEBVTT")
verbose = openai.audio.transcriptions.create(
    model="whisper-1", file=sound, response_format="verbose_json", timestamp_granularities=["word", "segment"]
)
assert verbose.text == text and verbose.words[0].word == "The" and verbose.segments[0].start == 0, verbose
assert verbose.duration == 0.5, verbose
events = list(openai.audio.transcriptions.create(model="gpt-4o-transcribe", file=sound, stream=True))
assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"], events
assert events[-1].text == text
translated = openai.audio.translations.create(model="whisper-1", file=sound)
assert translated.text.startswith("You said: Translate"), translated
