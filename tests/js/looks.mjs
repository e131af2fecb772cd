// The page as it looks with sample answers: empty, small and large.
import { open } from "./browser.mjs";
import { answerWithSample } from "./sample.mjs";

export async function sampled(options = {}, answers = {}) {
  const opened = await open(options);
  await answerWithSample(opened.context, answers);
  return opened;
}

const LONG = "open-webui production instance for the whole data science department, Frankfurt am Main";

export function empty(answers) {
  answers["admin/credentials"] = [];
  answers["admin/keys"].keys = [];
  answers["admin/requests"].requests = [];
}

export function five(answers) {
  const [first] = answers["admin/credentials"];
  answers["admin/credentials"].push({ ...first, id: "cred-4", label: "in its rest", is_available: false, status: "exhausted", exhausted_until: new Date(Date.now() + 900_000).toISOString() });
}

export function thousand(answers) {
  const [ready, resting, broken, off] = answers["admin/credentials"];
  const kind = (i) => (i % 10 === 0 ? broken : i % 4 === 1 ? resting : i % 50 === 3 ? off : ready);
  answers["admin/credentials"] = Array.from({ length: 1000 }, (_, i) => ({ ...kind(i), id: `cred-${i}`, label: i === 7 ? `${LONG} ${"x".repeat(90)}` : `label ${i}` }));
  const key = answers["admin/keys"].keys[1];
  answers["admin/keys"].keys = Array.from({ length: 1000 }, (_, i) => ({ ...key, id: `k${i}`, name: i === 0 ? LONG : `key ${i}` }));
  for (const request of answers["admin/requests"].requests) Object.assign(request, { key: LONG, model: `gemini-${"very-".repeat(8)}long` });
}

export async function openEverything(page) {
  await page.locator("details:not([name]):not([open]) > summary").evaluateAll((all) => all.filter((part) => part.checkVisibility()).forEach((part) => part.click()));
  await page.locator("[data-id=cred-0] [data-do=quota]").click();
  await page.locator("[data-id=cred-0] progress").first().waitFor();
}
