// The page of who holds a client key: opened with it, own figures only, both languages, phones, accessibility, and where the
// key is and is not.
import assert from "node:assert/strict";
import en from "../../static/en.js";
import zh from "../../static/zh.js";
import { accessible, noSidewaysScroll, open, shot, shows } from "./browser.mjs";

const { PROXY_URL, MY_KEY, OTHER_KEY } = process.env;

async function enter(page, key) {
  await page.goto(`${PROXY_URL}/me`);
  await page.locator("#form-door [name=key]").fill(key);
  await page.locator("#form-door button.primary").click();
}

export const cases = {
  async "a key holder sees own use, what is left and settings, in both languages and themes, wide and narrow"() {
    for (const [locale, words] of [["en-US", en], ["zh-CN", zh]]) {
      for (const colorScheme of ["light", "dark"]) {
        for (const width of [1280, 360]) {
          const where = `me-${locale.slice(0, 2)}-${colorScheme}-${width}`;
          const contrast = (width > 500) === (colorScheme === "light") === (locale === "en-US");
          const { page } = await open({ locale, colorScheme, viewport: { width, height: 900 } });
          await page.goto(`${PROXY_URL}/me`);
          await shows(page, "h2", words.meOpenTitle);
          await accessible(page, `${where}, door`, "html", { contrast });
          await enter(page, MY_KEY);
          await shows(page, "#key-title", "Ann");
          await shows(page, "#left", words.field_dollars_per_month);
          await shows(page, "#use", "gemini-2.5-flash");
          await accessible(page, where, "html", { contrast });
          await noSidewaysScroll(page, where);
          await shot(page, where);
        }
      }
    }
  },

  async "nothing of another key is on the page, and the key is in the tab's session alone"() {
    const { page, context } = await open();
    const addresses = [];
    context.on("request", (request) => addresses.push(request.url()));
    await enter(page, MY_KEY);
    await shows(page, "#key-title", "Ann");
    const text = await page.locator("main").innerText();
    assert.ok(!text.includes("Bob") && !text.includes("gemini-2.5-pro"), text);
    assert.ok(addresses.every((address) => !address.includes(MY_KEY)), "the key is in no address");
    const kept = await page.evaluate(() => [JSON.stringify(localStorage), document.cookie, Object.values(sessionStorage)]);
    assert.ok(!kept[0].includes(MY_KEY) && kept[1] === "", String(kept));
    assert.deepEqual(kept[2], [MY_KEY]);
    // It is there after the page is loaded again, and gone after signing out.
    await page.reload();
    await shows(page, "#key-title", "Ann");
    await page.locator("#leave").click();
    await page.locator("#form-door").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    assert.equal(await page.locator("#mine").isVisible(), false);
    assert.ok(!(await page.content()).includes(MY_KEY), "nothing of it stays in the page");
    await enter(page, OTHER_KEY);
    await shows(page, "#key-title", "Bob");
    assert.ok(!(await page.locator("main").innerText()).includes("Ann"));
  },

  async "settings for programs hold the key and the address, and one answer can be tried"() {
    const { page } = await open();
    await enter(page, MY_KEY);
    await shows(page, "#key-title", "Ann");
    const programs = await page.locator("#client option").allTextContents();
    assert.ok(programs.length >= 10, String(programs));
    assert.equal(await page.locator("#client-model").inputValue(), "gemini-2.5-flash", "the only model of the key");
    for (const program of programs) {
      await page.locator("#client").selectOption(program);
      const snippet = await page.locator("#snippet").innerText();
      assert.ok(snippet.includes(MY_KEY) && snippet.includes(PROXY_URL), `${program}: ${snippet}`);
      assert.ok(!snippet.includes(`${PROXY_URL}//`), `${program}: ${snippet}`);
    }
    await page.locator("#form-try input").press("Enter");
    await shows(page, "#try-answer", "Hello");
  },

  async "a wrong key is told so, and nothing is opened"() {
    const { page } = await open({ errors: /401|429/ });
    await enter(page, "sk-nobody-has-this");
    await shows(page, "#door-failure", en.meWrongKey);
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    await accessible(page, "wrong key");
    await shot(page, "me-wrong-key");
  },
};
