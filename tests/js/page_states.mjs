// The page in every state, from sample answers: looks, languages, themes, phone, accessibility, hostile strings, polling.
import assert from "node:assert/strict";
import en from "../../static/en.js";
import zh from "../../static/zh.js";
import { accessible, noSidewaysScroll, open, said, shot, shows, visit } from "./browser.mjs";
import { openEverything, sampled, thousand } from "./looks.mjs";
import { answerWithSample } from "./sample.mjs";

const HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"\'`</td></details>';

async function unharmed(page) {
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator("img, body script, iframe").count(), 0, "nothing was parsed as HTML");
  const links = await page.locator("a[href]").evaluateAll((all) => all.map((a) => a.protocol));
  assert.deepEqual([...new Set(links)].filter((protocol) => !["http:", "https:"].includes(protocol)), []);
}

export const cases = {
  async "both dictionaries have the same sentences with the same words"() {
    const shape = (words) => Object.entries(words).map(([name, text]) => `${name} ${(text.match(/\{\w+\}/g) ?? []).sort()}`).sort();
    assert.deepEqual(shape(zh), shape(en));
  },

  async "the assets are small and nothing else is asked for"() {
    const { page } = await sampled();
    const assets = new Map();
    page.on("response", async (response) => {
      const path = new URL(response.url()).pathname;
      if (!path.startsWith("/admin/")) assets.set(path, (await response.body()).length);
    });
    await visit(page);
    await page.waitForLoadState("networkidle");
    const total = [...assets.values()].reduce((a, b) => a + b, 0);
    assert.ok(assets.size >= 15 && assets.has("/"), [...assets.keys()].join(" "));
    assert.ok(total < 160_000, `${total} bytes`);
    assert.equal(await page.title(), "Model API Proxy Management");
  },

  async "a phone of 360 pixels shows everything without scrolling sideways"() {
    for (const [locale, colorScheme] of [["en-US", "light"], ["zh-CN", "dark"]]) {
      const { page } = await sampled({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, locale, colorScheme });
      await visit(page);
      await openEverything(page);
      for (const name of await page.locator("#client option").allTextContents()) {
        await page.locator("#client").selectOption(name);
        await noSidewaysScroll(page, `${locale} ${name}`);
      }
    }
  },

  async "a thousand credentials and keys, and long names, stay usable"() {
    for (const [width, colorScheme] of [[1280, "light"], [360, "dark"]]) {
      const { page } = await sampled({ viewport: { width, height: 800 }, colorScheme, isMobile: width < 500, hasTouch: width < 500 }, { change: thousand });
      await visit(page);
      assert.equal(await page.locator("#pool .row").count(), 20);
      const height = await page.evaluate(() => document.body.scrollHeight);
      await page.locator("#pool-tools .q").fill("label 99");
      await page.waitForFunction(() => document.querySelectorAll("#pool .row").length === 19);
      await page.locator("#pool-tools .q").fill("");
      const state = page.locator("#pool-tools [data-id=bad]");
      assert.match(await state.textContent(), /100$/);
      // Not by the mouse: the page may still be scrolling.
      await state.press("Enter");
      await page.waitForFunction(() => document.querySelectorAll("#pool .word.bad").length === 20);
      assert.equal(await state.getAttribute("aria-pressed"), "true");
      for (let left = 4; left > 0; left -= 1) {
        await page.locator("#pool-pages [data-id='1']").press("Enter");
        await shows(page, "#pool-pages", `${101 - 20 * left}–${120 - 20 * left} of 100`);
      }
      assert.ok(await page.locator("#pool-pages [data-id='1']").isDisabled());
      await state.press("Enter");
      await shows(page, "#pool-pages", "1–20 of 1,000");
      await page.locator("#key-list-tools .q").fill("key 88");
      await page.waitForFunction(() => document.querySelectorAll("#key-list .row").length === 19);
      await page.locator("#key-list-tools .q").fill("");
      await page.waitForFunction(() => document.querySelectorAll("#key-list .row").length === 20);
      await noSidewaysScroll(page, `${width} ${colorScheme}`);
      for (const list of ["#pool", "#key-list"]) {
        const tall = await page.locator(`${list} .row summary`).evaluateAll((lines) => Math.max(...lines.map((line) => line.offsetHeight)));
        assert.ok(tall < 40, `${list} at ${width}: a row is one line, not ${tall} px`);
      }
      assert.ok(height < (width > 500 ? 7000 : 11_000), `${height} px at ${width}`);
      for (const line of [1, 4]) await page.locator("#pool .pick").nth(line).press("Space");
      await page.locator("#pool .pick:checked").nth(1).waitFor();
      for (const row of ["#pool [data-id=cred-7]", "#key-list [data-id=k0]"]) await page.locator(`${row} summary`).press("Enter");
      await noSidewaysScroll(page, `${width} ${colorScheme}, unfolded`);
      await accessible(page, `${width} ${colorScheme}, unfolded`);
      await shot(page, `many-${width}-${colorScheme}`);
    }
  },

  async "a chosen language and theme stay"() {
    const { page } = await sampled({ locale: "zh-CN", colorScheme: "light" });
    await visit(page);
    const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    assert.equal(await page.locator("#state .title").textContent(), zh.readyTitle);
    assert.equal(await page.locator("html").getAttribute("lang"), "zh-Hans");
    const light = await background();
    await page.locator("#language").selectOption("en");
    await page.locator("#theme").selectOption("dark");
    assert.equal(await page.locator("#state .title").textContent(), en.readyTitle);
    assert.notEqual(await background(), light);
    await page.reload();
    await shows(page, "#state .title", en.readyTitle);
    assert.equal(await page.locator("html").getAttribute("lang"), "en");
    assert.notEqual(await background(), light);
    await page.locator("#language").selectOption("auto");
    assert.equal(await page.locator("#state .title").textContent(), zh.readyTitle);
  },

  async "hostile strings stay strings"() {
    for (const locale of ["en-US", "zh-CN"]) {
      const { page } = await sampled({ locale }, { word: (text) => `${text}${HOSTILE}`, link: "javascript:window.hacked=1" });
      await visit(page);
      await openEverything(page);
      await unharmed(page);
      for (const place of ["#alerts", "#pool", "#plots", "#tables", "#key-list", "#request-list", "#config"]) await shows(page, place, HOSTILE);
      for (const button of ["#pool [data-id=cred-0] [data-do=edit]", "#pool [data-id=cred-0] [data-do=delete]", "#key-list [data-id=k1] [data-do=limits]", "#key-list [data-id=k1] [data-do=delete]"]) {
        await page.locator(button).click();
        await page.locator("dialog[open]").waitFor();
        await unharmed(page);
        await page.keyboard.press("Escape");
      }
      await noSidewaysScroll(page, "hostile strings");
    }
  },

  async "hostile refusals stay strings"() {
    const { context, page } = await sampled({ errors: /status of 4|status of 5/ });
    await context.route("**/admin/credentials/*/check", (route) => route.fulfill({ status: 502, json: { detail: HOSTILE } }));
    await context.route("**/admin/credentials/import", (route) => route.fulfill({ json: { results: [{ label: HOSTILE, status: "refused", detail: HOSTILE }] } }));
    await context.route("**/v1/chat/completions", (route) => route.fulfill({ status: 400, json: { error: { message: HOSTILE } } }));
    await visit(page);
    await page.locator("#pool [data-id=cred-0] summary").click();
    await page.locator("#pool [data-do=check]").first().click();
    await said(page, HOSTILE);
    await page.locator("#add-key summary").click();
    await page.locator("#form-keys textarea").fill("AIza");
    await page.locator("#form-keys button").click();
    await shows(page, "#add-results", HOSTILE);
    await page.locator("#form-try button.primary").click();
    await shows(page, "#try-note", HOSTILE);
    await context.unroute("**/v1/chat/completions");
    const chunk = JSON.stringify({ choices: [{ delta: { content: HOSTILE, reasoning_content: HOSTILE } }] });
    await context.route("**/v1/chat/completions", (route) => route.fulfill({ contentType: "text/event-stream", body: `data: ${chunk}\n\ndata: [DONE]\n\n` }));
    await page.locator("#form-try button.primary").click();
    await shows(page, "#try-answer", HOSTILE);
    await unharmed(page);
  },

  async "a change carries the header that other sites cannot send"() {
    const { page } = await sampled();
    await visit(page);
    const asked = page.waitForRequest((request) => request.method() === "POST");
    await page.locator("#pool [data-id=cred-0] summary").click();
    await page.locator("#pool [data-do=disable]").first().click();
    assert.equal((await asked).headers()["x-requested-with"], "gemini-proxy");
  },

  async "plots follow the range and keep their numbers for readers"() {
    const { page } = await sampled();
    await visit(page);
    const slots = page.locator("[data-key=plot-requests] .slot");
    assert.equal(await slots.count(), 24);
    await page.locator("[data-range='30d']").click();
    await page.waitForFunction(() => document.querySelectorAll("[data-key=plot-requests] .slot").length === 30);
    assert.equal(await page.locator("#csv").getAttribute("href"), "admin/stats.csv?range=30d");
    await slots.nth(10).hover();
    await shows(page, "[data-key=plot-requests] .readout", "answered");
    assert.ok(await page.locator("[data-key=plot-requests] tbody tr").count() > 20);
  },

  async "requests can be filtered and held"() {
    const { page } = await sampled();
    await visit(page);
    const rows = page.locator("#request-list .row");
    assert.equal(await rows.count(), 14);
    const count = (wanted) => page.waitForFunction((n) => document.querySelectorAll("#request-list .row").length === n, wanted);
    await page.locator("#request-filter").fill("open-webui flash");
    await count(2);
    await page.locator("#request-filter").fill("");
    await page.locator("#request-key").fill("laptop");
    await page.locator("#request-key").press("Enter");
    await count(5);
    await page.locator("#request-key").fill("");
    await page.locator("#request-key").press("Enter");
    await page.locator("#request-outcome").selectOption("failed");
    await count(2);
    for (const text of await rows.allTextContents()) assert.match(text, /429/);
    // By the keyboard: what a poll draws above may move it under the pointer.
    await page.locator("#request-pause").press("Enter");
    assert.equal(await page.locator("#request-pause").getAttribute("aria-pressed"), "true");
    await rows.first().locator("summary").click();
    await shows(page, "#request-list .tries", "RATE_LIMIT_EXCEEDED");
    const asked = page.waitForRequest((request) => request.url().includes("from="));
    await page.locator("#request-range").selectOption("7d");
    const query = new URL((await asked).url()).searchParams;
    assert.equal(query.get("outcome"), "failed");
    assert.ok(Math.abs(Date.parse(query.get("from")) - Date.now() + 7 * 86_400_000) < 60_000, query.get("from"));
    assert.match(await page.locator("#request-csv").getAttribute("href"), /requests\.csv\?outcome=failed&limit=100000&from=/);
    await count(14);
    assert.equal(await page.locator("#request-list details[open] .tries").filter({ hasText: "RATE_LIMIT_EXCEEDED" }).count(), 1, "what was unfolded stays so");
  },

  async "models show who serves them, what they stand for and where routes lead"() {
    const { page } = await sampled();
    await visit(page);
    await page.locator("#model-details > summary").click();
    await shows(page, "#model-list .row", "gemini-2.5-pro");
    assert.match(await page.locator("#model-list .row").nth(1).textContent(), /gpt-4o.*2 of 2 serve it.*→ gemini-3\.8-flash/);
    await page.locator("#model-list .row summary").first().click();
    assert.match(await page.locator("#model-list .resting").first().textContent(), new RegExp(`studio key …x9Qk ${en.restsFor} .* · The short-term limit`));
    assert.match(await page.locator("#model-list .routes").textContent(), /claude-\*→ gemini-3\.1-pro-preview → gemini-3\.8-flash/);
    await accessible(page, "models", "#model-details");
  },

  async "signing out asks for the password again, or says who keeps it"() {
    const { context, page } = await sampled();
    await visit(page);
    let [session, reloaded] = [false, 0];
    await context.route("**/admin/sign-out", (route) => route.fulfill({ json: { status: "success", session } }));
    page.on("framenavigated", () => { reloaded += 1; });
    await page.locator("#sign-out").click();
    await said(page, en.signOutBasic, "bad");
    assert.equal(reloaded, 0);
    session = true;
    await Promise.all([page.waitForEvent("framenavigated"), page.locator("#sign-out").click()]);
  },

  async "every program gets this server's address and the chosen key"() {
    const { context, page } = await sampled();
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await visit(page);
    await page.locator("#client-key").fill("sk-chosen");
    await page.locator("#client-model").fill("gemini-2.5-pro");
    const names = await page.locator("#client option").allTextContents();
    assert.ok(names.length >= 10);
    for (const name of names) {
      await page.locator("#client").selectOption(name);
      const text = await page.locator("#snippet").textContent();
      for (const part of ["https://gemini.example.com", "sk-chosen", "gemini-2.5-pro"]) assert.ok(text.includes(part), `${name} lacks ${part}`);
    }
    await page.locator("#client").selectOption("curl");
    await page.locator("#snippet [data-do=copy]").click();
    await said(page, en.copied);
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^curl -N 'https:\/\/gemini\.example\.com\/v1\//);
  },

  async "the keyboard reaches everything"() {
    const { page } = await sampled();
    await visit(page);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.locator("[data-id=cred-0] summary").focus();
    await page.keyboard.press("Enter");
    const remove = page.locator("[data-id=cred-0] [data-do=delete]");
    await remove.focus();
    await page.keyboard.press("Enter");
    await page.locator("dialog[open]").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.name), "word");
    const go = page.locator("dialog button.primary");
    assert.ok(await go.isDisabled(), "nothing is deleted before the word is typed");
    await page.keyboard.type("cred-1");
    assert.ok(await go.isDisabled());
    await page.keyboard.press("Escape");
    assert.ok(await remove.evaluate((button) => button === document.activeElement), "focus returns to the button");
  },

  async "a refusal is said in its dialog, and beside it when the dialog was left"() {
    const { context, page } = await sampled({ errors: /status of 409/ });
    const waiting = [];
    await context.route("**/admin/keys", (route) => (route.request().method() === "POST" ? waiting.push(route) : route.fallback()));
    const refuse = async () => {
      while (!waiting.length) await page.evaluate(() => new Promise((next) => requestAnimationFrame(next)));
      await waiting.pop().fulfill({ status: 409, json: { detail: HOSTILE } });
    };
    await visit(page);
    await page.locator("#key-add").click();
    await page.locator("dialog [name=name]").fill("guest");
    await page.keyboard.press("Enter");
    await refuse();
    await shows(page, "dialog .bad", HOSTILE);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Escape");
    await refuse();
    await said(page, HOSTILE, "bad");
    await unharmed(page);
  },

  async "a poll keeps focus, opened parts and what was typed"() {
    const { page } = await sampled();
    await page.clock.install();
    await visit(page);
    await page.locator("#tables details").nth(1).locator("summary").click();
    await page.locator("#client-key").fill("sk-half");
    await page.locator("[data-id=cred-1] summary").click();
    const button = page.locator("[data-id=cred-1] [data-do=check]");
    await button.focus();
    const polled = page.waitForResponse("**/admin/requests?*");
    await page.clock.runFor(5000);
    await polled;
    await page.waitForFunction(() => document.querySelector("#state .title"));
    assert.ok(await button.evaluate((b) => b === document.activeElement));
    assert.equal(await page.locator("#tables details").nth(1).getAttribute("open"), "");
    assert.equal(await page.locator("#client-key").inputValue(), "sk-half");
  },

  async "a poll moves nothing that is pressed"() {
    let failing = false;
    // A line more above what is pressed.
    const { page } = await sampled({}, { change: (answers) => { if (failing) Object.assign(answers["admin/credentials"][0], { status: "error", failure_reason: HOSTILE }); } });
    await page.clock.install();
    await visit(page);
    await page.clock.pauseAt(Date.now() + 60_000);
    await page.locator("[data-id=cred-1] summary").click();
    const button = page.locator("[data-id=cred-1] [data-do=check]");
    await button.hover();
    await page.mouse.down();
    const place = await button.boundingBox();
    failing = true;
    const polled = page.waitForResponse("**/admin/requests?*");
    await page.clock.runFor(4100);
    await (await polled).finished();
    assert.deepEqual(await button.boundingBox(), place, "it stays under the pointer");
    const checked = page.waitForRequest("**/admin/credentials/cred-1/check");
    await page.mouse.up();
    await checked;
    await page.clock.runFor(4100);
    await shows(page, "[data-id=cred-0] .reason", HOSTILE);
  },

  async "it asks every few seconds, less when the server is gone, never while hidden"() {
    const { context, page } = await open({ errors: /ERR_FAILED/ });
    let gone = false;
    await answerWithSample(context);
    await context.route("**/admin/**", (route) => (gone ? route.abort("failed") : route.fallback()));
    let asked = 0;
    let underWay = 0;
    page.on("request", (request) => { underWay += 1; asked += request.url().includes("/admin/credentials?") ? 1 : 0; });
    for (const end of ["requestfinished", "requestfailed"]) page.on(end, () => { underWay -= 1; });
    await page.clock.install();
    await visit(page);
    // The page's clock is ours, the answers' is not: each step lets what it began come to its end.
    const turn = () => page.evaluate(() => new Promise((next) => { const c = new MessageChannel(); c.port1.onmessage = next; c.port2.postMessage(0); }));
    const settle = async () => {
      do {
        await turn();
        while (underWay > 0) await new Promise((next) => setTimeout(next, 2));
        await turn();
      } while (underWay > 0);
    };
    const pass = async (seconds) => {
      const before = asked;
      for (let i = 0; i < seconds; i += 1) { await page.clock.runFor(1000); await settle(); }
      return asked - before;
    };
    const usual = await pass(24);
    assert.ok(usual >= 3 && usual <= 7, `${usual} in 24 s`);
    gone = true;
    await pass(20);
    await shows(page, "#state .title", en.goneTitle);
    const rare = await pass(120);
    assert.ok(rare >= 1 && rare <= 6, `${rare} in 120 s without a server`);
    await shot(page, "server-gone");
    gone = false;
    await page.locator("#state [data-do=retry]").click();
    await shows(page, "#state .title", en.readyTitle);
    const hide = (hidden) => page.evaluate((value) => { Object.defineProperty(document, "hidden", { configurable: true, value }); document.dispatchEvent(new Event("visibilitychange")); }, hidden);
    await hide(true);
    assert.equal(await pass(60), 0);
    // The first one may be asked before the next line runs.
    const before = asked;
    await hide(false);
    await pass(5);
    assert.ok(asked > before);
  },

  async "a count-down runs and all resting says when it ends"() {
    const until = new Date(Date.now() + 90_000).toISOString();
    const { page } = await sampled({}, { change: (answers) => {
      for (const c of answers["admin/credentials"]) Object.assign(c, { is_available: false, status: "exhausted", disabled: false, exhausted_until: until, models: [{ model: "gemini-2.5-pro", cooling_until: until, reason: "RATE_LIMIT_EXCEEDED" }] });
    } });
    await visit(page);
    await shows(page, "#state .title", en.coolingTitle);
    const left = page.locator("#state .countdown");
    const first = await left.textContent();
    assert.match(first, /^1 min \d+ s$/);
    await page.waitForFunction((text) => document.querySelector("#state .countdown").textContent !== text, first);
    await shot(page, "all-resting");
  },

  async "a credential that was refused a model is usable and says which and why"() {
    const { page } = await sampled();
    await visit(page);
    const credential = page.locator("[data-id=cred-1]");
    await credential.locator("summary").click();
    assert.equal((await credential.locator(".word").textContent()).trim(), en.statePartly);
    assert.match(await credential.locator(".resting li").nth(0).textContent(), new RegExp(`gemini-2.5-pro ${en.restsFor} .* · The short-term limit for this model is reached\\.$`));
    assert.match(await credential.locator(".resting li").nth(1).textContent(), new RegExp(`gemini-3-pro-preview ${en.refusedFor} .* · of a newer version`));
    await shows(page, "#state .title", en.readyTitle);
  },

  async "a chinese reader reads chinese where something is wrong"() {
    const { page } = await sampled({ locale: "zh-CN" });
    await visit(page);
    for (const place of ["#alerts", "[data-id=cred-1] .resting li:first-child", "[data-id=cred-2] .reason"]) assert.match(await page.locator(place).textContent(), /[\u4e00-\u9fff]{4}/, place);
    assert.match(await page.locator("[data-id=cred-2] .reason").textContent(), /^\s*未能试用：Verify your account to continue\.\s*处理办法$/);
    assert.equal(await page.title(), zh.title);
  },

  async "a change that could not be saved is told with its answer"() {
    const { context, page } = await sampled();
    const warning = "It works now, but is in memory only.";
    await context.route("**/admin/credentials/import", (route) => route.fulfill({ json: { results: [{ label: "AIz***0001", status: "added", detail: null }], warning } }));
    await visit(page);
    await page.locator("#add-key summary").click();
    await page.locator("#form-keys textarea").fill("AIza");
    await page.locator("#form-keys button").click();
    await said(page, warning, "bad");
    await shows(page, "#add-results .good", en.resultAdded);
  },

  async "a lost login says so"() {
    const { context, page } = await sampled({ errors: /status of 403/ });
    await visit(page);
    await context.route("**/admin/**", (route) => route.fulfill({ status: 403, json: { detail: "Incorrect username or password" } }));
    await shows(page, "#state", en.loginTitle);
    await shows(page, "#state", "Incorrect username or password");
  },
};
