"use strict";
// Polls the admin JSON and shows it. Everything is written as text nodes: no string from outside is ever HTML.

const PERIOD = 5000;
let wait = PERIOD;

function row(body, cells) {
  const line = body.insertRow();
  for (const cell of cells) {
    const field = line.insertCell();
    field.textContent = cell === null || cell === undefined || cell === "None" ? "–" : String(cell);
    if (typeof cell === "number") field.className = "number";
  }
}

function status(credential) {
  const cooling = credential.models.map((m) => `${m.model} rests until ${m.cooling_until.slice(11, 19)} UTC (${m.reason})`);
  return [credential.status, credential.failure_reason, ...cooling].filter(Boolean).join(" · ");
}

function show(credentials, usage) {
  const list = document.getElementById("credentials");
  list.replaceChildren();
  for (const c of credentials) {
    row(list, [c.id, c.kind === "api_key" ? c.label : c.email, c.kind === "api_key" ? "API key" : "Google login",
      c.project_id, status(c), c.usage_count, c.expiry]);
  }
  const table = document.getElementById("usage");
  table.replaceChildren();
  for (const [model, u] of Object.entries(usage)) {
    const failed = Object.values(u.failed_requests).reduce((sum, n) => sum + n, 0);
    row(table, [model, u.successful_requests, failed, u.prompt_tokens, u.candidates_tokens, u.thoughts_tokens,
      u.cached_content_token_count]);
  }
  const usable = credentials.filter((c) => c.is_available).length;
  document.getElementById("state").textContent = credentials.length === 0
    ? "No credential yet: put an API key into gemini_api_keys of config.json, or an account into the credentials file."
    : `${usable} of ${credentials.length} credentials can serve now.`;
}

async function json(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function poll() {
  if (!document.hidden) {
    try {
      show(await json("admin/credentials"), await json("admin/usage"));
      wait = PERIOD;
    } catch (error) {
      document.getElementById("state").textContent = `The server does not answer (${error.message}); trying again.`;
      wait = Math.min(wait * 2, 60000);
    }
  }
  setTimeout(poll, wait);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) wait = PERIOD; });
poll();
