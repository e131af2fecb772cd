// What the page is told and shows, kept for the search in ../written.rs as ../common/written.rs does it.
import { appendFileSync } from "node:fs";
import path from "node:path";

const folder = process.env.WRITTEN_FOLDER;

function append(kind, text) {
  if (folder) appendFileSync(path.join(folder, `browser_page-${process.pid}.${kind}`), text);
}

export const keepLog = (text) => append("log", `${text}\n`);
export const keepAnswer = (text) => append("answers", `--- page\n${text}\n`);

// An answer as the browser received it. The one that shows a new key is kept without it; anywhere else it must not be.
export async function keepResponse(request) {
  const { pathname } = new URL(request.url());
  // The fake Google leads on with a code, as Google does.
  if (pathname.startsWith("/o/oauth2/")) return;
  const method = request.method();
  const response = await request.response();
  if (!response) return;
  const head = `${method} ${pathname}: ${response.status()}\n${JSON.stringify(response.headers())}`;
  // A redirect has no body, nor has what the page no longer waits for.
  let body = await response.text().catch(() => "");
  if (method === "POST" && pathname === "/admin/keys" && response.ok()) {
    const { key } = JSON.parse(body);
    if (key) append("secrets", `${JSON.stringify(key)}\n`);
    if (key) body = body.replace(key, "(shown once)");
  }
  keepAnswer(`${head}\n${body}`);
}

// The document as it stands. Left out are the three places for keys that this tab made or its reader typed: the new key that
// is shown once, the field that offers it, and the settings for programs that carry it.
export async function keepPage(page) {
  if (!folder || page.isClosed()) return;
  const html = await page.evaluate(() => {
    const copy = document.documentElement.cloneNode(true);
    for (const part of copy.querySelectorAll("script, style, #new-key code, #known-keys, #snippet")) part.remove();
    return copy.outerHTML;
  });
  keepAnswer(`${page.url().split("?")[0]}\n${html}`);
}
