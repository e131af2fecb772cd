// One headless Chromium for all cases. Every context is watched: an error in the
// console, an uncaught exception or a request to another host fails the case. Screenshots go to tests/screenshots.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { keepLog, keepPage, keepResponse } from "./written.mjs";

const shots = fileURLToPath(new URL("../screenshots/", import.meta.url));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser;
let watched = [];

// A page in a context of its own. `base` is where the server is, `hosts` are others that may be asked, `errors` matches what
// the console may say in this case.
export async function open({ base = process.env.PROXY_URL, hosts = [], errors, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, locale: "en-US", ...options });
  context.setDefaultTimeout(60_000);
  await context.addInitScript(() => {
    globalThis.said = [];
    const keep = (node) => node.classList?.contains("toast") && globalThis.said.push({ kind: node.className, text: node.textContent });
    new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach(keep))).observe(document, { childList: true, subtree: true });
  });
  const allowed = [base, ...hosts].map((url) => new URL(url).host);
  const problems = [];
  const kept = [];
  // Finished only: an answer that a case holds open has no text to wait for.
  context.on("requestfinished", (request) => kept.push(keepResponse(request).catch((error) => {
    // A poll that ends with its page has nobody left to tell.
    if (!error.message.includes("has been closed")) problems.push(`not kept: ${error.message}`);
  })));
  context.on("request", (request) => {
    const url = new URL(request.url());
    // What the page has in its own memory is no request to anybody.
    if (!["blob:", "data:"].includes(url.protocol) && !allowed.includes(url.host)) problems.push(`request to ${request.url()}`);
    if (url.pathname === "/favicon.ico") problems.push("the browser asked for a favicon");
  });
  context.on("console", (message) => {
    keepLog(message.text());
    if (message.type() === "error" && !errors?.test(message.text())) problems.push(`console: ${message.text()}`);
  });
  context.on("weberror", (error) => problems.push(`uncaught: ${error.error().stack}`));
  watched.push({ context, problems, kept });
  return { context, page: await context.newPage() };
}

// Loads the page and waits until it has drawn its first answers.
export async function visit(page, base = process.env.PROXY_URL) {
  await page.goto(`${base}/`);
  await page.locator("#state .title").waitFor();
}

export async function shot(page, name) {
  await keepPage(page);
  await page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true });
}

// Fails on what axe-core calls moderate or worse below `root`. Contrast takes three quarters of the time: it hangs on theme and
// width, so one language can stand for the other.
export async function accessible(page, where, root = "html", { contrast = true } = {}) {
  // By the debugger, since the page's own policy forbids foreign scripts, as it should.
  await page.evaluate(axe);
  const options = { resultTypes: ["violations"], rules: { "color-contrast": { enabled: contrast } } };
  const { violations } = await page.evaluate(([within, options]) => globalThis.axe.run(within, options), [root, options]);
  const bad = violations.filter((violation) => ["moderate", "serious", "critical"].includes(violation.impact));
  assert.deepEqual(bad.map((v) => `${v.id}: ${v.nodes.map((node) => node.target.join(" ")).join(", ")}`), [], where);
}

export async function noSidewaysScroll(page, where) {
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(excess, 0, `${where}: the page is ${excess} px too wide`);
}

// Waits until `text` is somewhere in `selector`.
export const shows = (page, selector, text) => page.locator(selector).filter({ hasText: text }).first().waitFor();

// Waits until the page has said `text` for a moment, also when that moment is over; each time counts once.
export const said = (page, text, kind = "toast") => page.evaluate(({ text, kind }) => new Promise((found, failed) => {
  const ends = Date.now() + 60_000;
  const looks = setInterval(() => {
    const at = globalThis.said.findIndex((one) => one.text.includes(text) && one.kind.includes(kind));
    if (at < 0 && Date.now() < ends) return;
    clearInterval(looks);
    if (at < 0) failed(new Error(`not said: ${text}; but ${JSON.stringify(globalThis.said)}`));
    else found(globalThis.said.splice(at, 1));
  }, 20);
}), { text, kind });

// Runs the cases one after the other; resolves to the names of those that failed.
export async function run(cases) {
  const failed = [];
  for (const [name, test] of Object.entries(cases)) {
    const began = Date.now();
    watched = [];
    try {
      await test();
      assert.deepEqual(watched.flatMap(({ problems }) => problems), []);
      console.log(`ok     ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      failed.push(name);
      console.log(`FAILED ${name}\n${error.stack}\n${watched.flatMap(({ problems }) => problems).join("\n")}`);
      for (const { context } of watched) await context.pages()[0]?.screenshot({ path: path.join(shots, `failed-${name.replaceAll(" ", "-")}.png`) }).catch(() => {});
    }
    for (const { context, kept } of watched) {
      for (const page of context.pages()) await keepPage(page);
      await Promise.all(kept);
      await context.close();
    }
  }
  return failed;
}

// Starts the browser on a fresh profile, lets `act` use it, ends it.
export async function withBrowser(act) {
  mkdirSync(shots, { recursive: true });
  // As root Chromium has no sandbox; the rest keeps it from asking anybody for anything by itself.
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium-headless-shell",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream"],
  });
  try {
    return await act();
  } finally {
    await browser.close();
  }
}
