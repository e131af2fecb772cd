// Speaks with the server: JSON in, JSON out, failures as sentences. Paths are relative, for servers below a path.
import { say } from "./dialog.js";
import { told } from "./text.js";

export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Another site's page cannot send it without the server's leave, which it never gives; and who sends it is not asked for a
// password by the browser itself.
const OURS = { "X-Requested-With": "gemini-proxy" };
const UNCHANGED = Symbol("unchanged");
// Behind a balancer the next replica must know what this one has changed.
const CURSOR = "X-Store-Cursor";
let cursor = null;

async function call(path, options, limit, keep = () => {}) {
  let answer;
  try {
    const headers = { ...options.headers, ...(cursor && { [CURSOR]: cursor }) };
    answer = await fetch(path, { cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(limit), ...options, headers });
  } catch (error) {
    throw new Failure(0, error.message);
  }
  cursor = answer.headers.get(CURSOR) ?? cursor;
  if (answer.status === 304) return UNCHANGED;
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Failure(answer.status, told(body?.told, sentence(body) ?? `HTTP ${answer.status}`));
  keep(answer.headers.get("ETag"), body);
  return body;
}

// Asks as a client does, with its key: a body goes out as JSON, a form as one. Throws what the server says.
export async function askAsClient(path, key, { body, signal } = {}) {
  const isJson = body && !(body instanceof FormData);
  const headers = { Authorization: `Bearer ${key}`, ...(isJson && { "Content-Type": "application/json" }) };
  const answer = await fetch(path, { method: body ? "POST" : "GET", cache: "no-store", credentials: "omit", headers, signal, body: isJson ? JSON.stringify(body) : body });
  if (answer.ok) return answer;
  throw new Failure(answer.status, `${answer.status}: ${sentence(await answer.json().catch(() => null)) ?? answer.statusText}`);
}

// What an error body says, in any of the server's shapes.
export function sentence(body) {
  const detail = body?.detail ?? body?.error?.message ?? body?.error ?? body?.message;
  return typeof detail === "string" ? detail : (detail && JSON.stringify(detail));
}

const seen = new Map();
const MOST_SEEN = 40;

// What has not changed since is not sent again.
export async function get(path) {
  const known = seen.get(path);
  const answer = await call(path, { headers: { ...OURS, ...(known && { "If-None-Match": known.tag }) } }, 15_000, (tag, body) => {
    seen.delete(path);
    if (tag) seen.set(path, { tag, body });
    if (seen.size > MOST_SEEN) seen.delete(seen.keys().next().value);
  });
  return answer === UNCHANGED ? known.body : answer;
}

// A change. Long, because some changes ask Google.
export async function send(method, path, body) {
  const headers = { ...OURS };
  if (body) headers["Content-Type"] = "application/json";
  const answer = await call(path, { method, headers, body: body && JSON.stringify(body) }, 90_000);
  if (answer?.warning) say(told(answer.told, answer.warning), true);
  return answer;
}
