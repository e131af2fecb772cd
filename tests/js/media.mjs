// Pictures, speech and transcripts with the official SDK.
import assert from "node:assert/strict";
import { toFile } from "openai";
import { openai } from "./client.mjs";

const model = "gemini-3.1-flash-image";
const made = await openai.images.generate({ model, prompt: "a fox", n: 3 });
assert.equal(made.data.length, 3);
const picture = Buffer.from(made.data[0].b64_json, "base64");
assert.equal(picture.subarray(1, 4).toString(), "PNG");
const url = await openai.images.generate({ model, prompt: "a fox", response_format: "url" });
assert.ok(url.data[0].url.startsWith("data:image/png;base64,"));
const kinds = async (stream) => {
  const found = [];
  for await (const event of stream) found.push(event.type);
  return found;
};
assert.deepEqual(await kinds(await openai.images.generate({ model, prompt: "a fox", stream: true })), [
  "image_generation.completed",
]);
const file = (name) => toFile(picture, name, { type: "image/png" });
const one = await openai.images.edit({ model, prompt: "bluer", image: await file("a.png") });
assert.equal(one.data.length, 1);
const images = [await file("a.png"), await file("b.png")];
const several = await openai.images.edit({ model, prompt: "bluer", image: images, mask: await file("m.png"), n: 2 });
assert.equal(several.data.length, 2);

const speech = await openai.audio.speech.create({ model: "tts-1", input: "Hi", voice: "nova", response_format: "wav" });
assert.equal(speech.headers.get("content-type"), "audio/wav");
const sound = Buffer.from(await speech.arrayBuffer());
assert.equal(sound.length, 44 + 24000);
const pcm = { model: "tts-1", input: "Hi", voice: "nova", response_format: "pcm" };
let bytes = 0;
for await (const piece of (await openai.audio.speech.create(pcm)).body) bytes += piece.length;
assert.equal(bytes, 24000);
const sse = await (await openai.audio.speech.create({ ...pcm, stream_format: "sse" })).text();
assert.ok(sse.includes("speech.audio.delta") && sse.includes("speech.audio.done"), sse);

const text = "The quick fox jumps. Over the dog & <more>.";
const write = async (more) =>
  openai.audio.transcriptions.create({ model: "gpt-4o-transcribe", file: await toFile(sound, "a.wav"), ...more });
assert.equal((await write({})).text, text);
assert.equal((await write({ response_format: "text" })).trim(), text);
assert.ok((await write({ response_format: "srt" })).includes(" --> "));
assert.ok((await write({ response_format: "vtt" })).startsWith("WEBVTT"));
const verbose = await write({ response_format: "verbose_json", timestamp_granularities: ["word"] });
assert.equal(verbose.words[1].word, "quick");
assert.deepEqual(await kinds(await write({ stream: true })), [
  "transcript.text.delta",
  "transcript.text.delta",
  "transcript.text.done",
]);
const english = await openai.audio.translations.create({ model: "whisper-1", file: await toFile(sound, "a.wav") });
assert.ok(english.text.startsWith("You said: Translate"), english.text);
