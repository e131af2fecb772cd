// The page's box for pictures and speech, against a running proxy.
import assert from "node:assert/strict";
import { words } from "../../static/media.js";
import { accessible, noSidewaysScroll, open, shot, shows, visit } from "./browser.mjs";

const { PROXY_KEY, PROXY_URL } = process.env;
const HEARD = "The quick fox jumps. Over the dog & <more>.";

async function box(options) {
  const opened = await open(options);
  await visit(opened.page);
  await opened.page.locator("#client-key").fill(PROXY_KEY);
  return opened;
}

// Not by the mouse: a poll may move the button in that moment.
const enter = (page, selector) => page.locator(selector).press("Enter");

// Half a second of a WAV file.
function wav() {
  const file = Buffer.alloc(44 + 16_000);
  file.write("RIFF", 0); file.writeUInt32LE(36 + 16_000, 4); file.write("WAVEfmt ", 8); file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20); file.writeUInt16LE(1, 22); file.writeUInt32LE(16_000, 24); file.writeUInt32LE(32_000, 28);
  file.writeUInt16LE(2, 32); file.writeUInt16LE(16, 34); file.write("data", 36); file.writeUInt32LE(16_000, 40);
  return file;
}

export const cases = {
  async "both languages have the same words"() {
    const shape = (of) => Object.entries(of).map(([name, text]) => `${name} ${text.match(/\{\w+\}/g) ?? ""}`);
    assert.deepEqual(shape(words.zh), shape(words.en));
  },

  async "a picture, a sentence and a recording"() {
    const { page } = await box();
    await enter(page, "#form-picture input");
    await page.locator("#media-answer img").waitFor();
    assert.equal(await page.locator("#media-answer img").evaluate((image) => image.decode().then(() => image.naturalWidth)), 1);
    await shows(page, "#media-note", "1x1 after");
    await page.locator("#form-speech input").fill("Good morning");
    await enter(page, "#form-speech input");
    await page.waitForFunction(() => document.querySelector("#media-answer audio")?.duration > 0);
    await shows(page, "#media-note", "audio/mpeg");
    await shot(page, "media");
    await enter(page, "#form-hear button.primary");
    await shows(page, "#media-note", words.en.mediaNoFile);
    await page.locator("#form-hear input").setInputFiles({ name: "a.wav", mimeType: "audio/wav", buffer: wav() });
    await enter(page, "#form-hear button.primary");
    await shows(page, "#media-answer p", HEARD);
    assert.equal(await page.locator("#media-answer more").count(), 0, "text is not parsed");
  },

  async "the microphone, by a browser that has one"() {
    const { context, page } = await box();
    await context.grantPermissions(["microphone"], { origin: PROXY_URL });
    await enter(page, "#media-record");
    await shows(page, "#media-record", words.en.mediaStop);
    await enter(page, "#media-record");
    await shows(page, "#media-answer p", HEARD);
    await shows(page, "#media-record", words.en.mediaRecord);
  },

  async "a wrong key and no microphone say so"() {
    const { page } = await open({ errors: /status of 401/ });
    await page.addInitScript(() => Object.defineProperty(navigator, "mediaDevices", { value: undefined }));
    await visit(page);
    await page.locator("#client-key").fill("sk-wrong-key-of-nobody");
    await enter(page, "#form-picture input");
    await shows(page, "#media-note", "401: ");
    await enter(page, "#media-record");
    await shows(page, "#media-note", words.en.mediaInsecure);
  },

  async "accessible in chinese and on a phone"() {
    const { page } = await box({ locale: "zh-CN", viewport: { width: 360, height: 800 } });
    await shows(page, "#media h3", words.zh.media);
    await enter(page, "#form-speech input");
    await page.locator("#media-answer audio").waitFor();
    await noSidewaysScroll(page, "phone");
    await accessible(page, "phone", "#media");
    await shot(page, "media-phone-zh");
  },
};
