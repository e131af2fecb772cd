// The AI SDK's pictures, speech and transcripts, by its provider for OpenAI and by the one for compatible servers.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateImage, generateSpeech, transcribe } from "ai";
import assert from "node:assert/strict";

const settings = { baseURL: `${process.env.PROXY_URL}/v1`, apiKey: process.env.PROXY_KEY };
const openai = createOpenAI(settings);
const compatible = createOpenAICompatible({ name: "gemini", ...settings });
const name = "gemini-3.1-flash-image";
const once = { maxRetries: 0 };

for (const model of [openai.image(name), compatible.imageModel(name)]) {
  const one = await generateImage({ model, prompt: "a fox", size: "1024x1536", ...once });
  assert.equal(one.image.mediaType, "image/png");
  assert.deepEqual([...one.image.uint8Array.subarray(1, 4)], [0x50, 0x4e, 0x47]);
  assert.deepEqual(one.warnings, []);
  const several = await generateImage({ model, prompt: "a fox", n: 3, maxImagesPerCall: 3, ...once });
  assert.equal(several.images.length, 3);
  const images = [one.image.uint8Array, one.image.base64];
  const edited = await generateImage({ model, prompt: { text: "bluer", images, mask: one.image.uint8Array }, ...once });
  assert.equal(edited.images.length, 1);
}
assert.ok((await generateImage({ model: openai.image(name), prompt: "a fox", ...once })).usage.totalTokens > 0);
await assert.rejects(generateImage({ model: openai.image("gemini-2.5-flash"), prompt: "a fox", ...once }), /make pictures/);

for (const [outputFormat, mediaType] of [[undefined, "audio/mpeg"], ["mp3", "audio/mpeg"], ["wav", "audio/wav"], ["flac", "audio/flac"]]) {
  const { audio, warnings } = await generateSpeech({ model: openai.speech("tts-1"), text: "Hi", voice: "nova", outputFormat, ...once });
  assert.equal(audio.mediaType.replace("audio/mp3", "audio/mpeg"), mediaType);
  assert.ok(audio.uint8Array.length > 1000);
  assert.deepEqual(warnings, []);
}
await assert.rejects(generateSpeech({ model: openai.speech("tts-1"), text: "Hi", outputFormat: "opus", ...once }), /'mp3'/);

const { audio } = await generateSpeech({ model: openai.speech("gpt-4o-mini-tts"), text: "Hi", instructions: "Softly.", outputFormat: "wav", ...once });
for (const model of ["whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gemini-3.5-transcribe"]) {
  const heard = await transcribe({ model: openai.transcription(model), audio: audio.uint8Array, ...once });
  assert.equal(heard.text, "The quick fox jumps. Over the dog & <more>.", model);
}
const verbose = { openai: { responseFormat: "verbose_json", timestampGranularities: ["word", "segment"] } };
const heard = await transcribe({ model: openai.transcription("whisper-1"), audio: audio.base64, providerOptions: verbose, ...once });
assert.equal(heard.language, "en");
assert.equal(heard.durationInSeconds, 0.5);
assert.deepEqual(heard.segments.map(({ text }) => text), ["The quick fox jumps.", "Over the dog & <more>."]);
