// Speaks with the server: JSON in, JSON out, failures as sentences. Paths are relative, for servers below a path.
import { say } from "./dialog.js";
import { told } from "./text.js";

export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function call(path, options, limit) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(limit), ...options });
  } catch (error) {
    throw new Failure(0, error.message);
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Failure(answer.status, told(body?.told, sentence(body) ?? `HTTP ${answer.status}`));
  return body;
}

// What an error body says, in any of the server's shapes.
export function sentence(body) {
  const detail = body?.detail ?? body?.error?.message ?? body?.error ?? body?.message;
  return typeof detail === "string" ? detail : (detail && JSON.stringify(detail));
}

export const get = (path) => call(path, {}, 15_000);

// A change. The header cannot be sent by another site's page without the server's leave, which it never gives. Long,
// because some changes ask Google.
export async function send(method, path, body) {
  const headers = { "X-Requested-With": "gemini-proxy" };
  if (body) headers["Content-Type"] = "application/json";
  const answer = await call(path, { method, headers, body: body && JSON.stringify(body) }, 90_000);
  if (answer?.warning) say(told(answer.told, answer.warning), true);
  return answer;
}
