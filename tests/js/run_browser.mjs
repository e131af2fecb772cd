// Runs the cases of one file in the browser: `node run_browser.mjs ./page_states.mjs [part of a name]`.
import { run, withBrowser } from "./browser.mjs";

const [, , file, part = ""] = process.argv;
const { cases } = await import(file);
const failed = await withBrowser(() => run(Object.fromEntries(Object.entries(cases).filter(([name]) => name.includes(part)))));
process.exitCode = failed.length > 0 ? 1 : 0;
