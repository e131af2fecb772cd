// Each kind of credential for Vertex AI, pasted as its file is, by a person.
import assert from "node:assert/strict";
import en from "../../static/en.js";
import zh from "../../static/zh.js";
import { accessible, noSidewaysScroll, open, said, shot, shows, visit } from "./browser.mjs";

const items = JSON.parse(process.env.ITEMS);
const PROJECT = "project-v";

// What must stay with the server: long texts of the item that are no addresses, names or places.
function secrets(value, name = "") {
  if (typeof value === "string") return /key$|secret|refresh_token/.test(name) ? [value] : [];
  return Object.entries(value ?? {}).flatMap(([inner, more]) => secrets(more, inner));
}

export const cases = {
  async "each is connected, and its line says what it is and where it serves"() {
    for (const [i, item] of items.entries()) {
      const phone = i % 2 === 1;
      const { page } = await open({ locale: phone ? "zh-CN" : "en-US", ...(phone && { viewport: { width: 360, height: 800 }, isMobile: true, hasTouch: true }) });
      const words = phone ? zh : en;
      await visit(page);
      const before = await page.locator("#pool .row").count();
      assert.equal(before, i + 1, "the machine of the config, and those before");
      await page.locator("#add-json > summary").click();
      await page.locator("#form-json textarea").fill(JSON.stringify(item, null, 2));
      await page.locator("#form-json button.primary").click();
      await shows(page, "#add-results li.good", words.resultAdded);
      assert.equal(await page.locator("#form-json textarea").inputValue(), "", "what was pasted is gone");
      const row = page.locator("#pool .row").nth(before);
      await row.waitFor();
      await row.locator("summary").first().click();
      await shows(page, `#pool .row:nth-child(${before + 1})`, "Vertex AI");
      // Not the moment in which it gets its first token.
      await shows(page, `#pool .row:nth-child(${before + 1})`, words.stateReady);
      const text = await row.innerText();
      // An express key has neither.
      if (item.type !== "vertex_key") assert.ok(text.includes("global") && text.includes(words.project), `${item.type}: ${text}`);
      await row.locator("[data-do=check]").click();
      await said(page, words.checkGood);
      const shown = await page.content();
      for (const secret of secrets(item)) assert.ok(!shown.includes(secret) && !shown.includes(JSON.stringify(secret).slice(1, -1)), `${item.type}: a secret is shown`);
      assert.ok(!shown.includes(PROJECT) || item.type === "external_account" || text.includes("***"), "projects are masked");
      await noSidewaysScroll(page, item.type);
      await accessible(page, item.type, "#credentials");
      await shot(page, `vertex-${item.type}`);
    }
  },

  async "a file that is none of them, or lacks a part, says which"() {
    const { page } = await open();
    await visit(page);
    const [account] = items;
    await page.locator("#add-json > summary").click();
    for (const [item, word] of [[{ ...account, private_key: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" }, /key/], [{ ...account, client_email: undefined }, /client_email/], [{ type: "external_account_authorized_user" }, /type is not taken/]]) {
      await page.locator("#form-json textarea").fill(JSON.stringify(item));
      await page.locator("#form-json button.primary").click();
      // Not the sentence about the one before.
      await shows(page, "#add-results li.bad", word);
      assert.notEqual(await page.locator("#form-json textarea").inputValue(), "", "what was refused can be mended");
      await page.locator("#form-json textarea").fill("");
    }
    assert.equal(await page.locator("#pool .row").count(), items.length + 1);
  },
};
