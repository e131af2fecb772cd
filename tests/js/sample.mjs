// Answers of the admin JSON as a busy server gives them, for states that a test cannot bring about in seconds: thirty days of
// use, quota, many kinds of trouble. `word(text)` makes every string that comes from outside, so that a test can poison all.

const iso = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();
const sums = (requests, failed) => ({
  requests, failed, turned_away: Math.floor(failed / 3), prompt_tokens: requests * 2140, completion_tokens: requests * 380, thinking_tokens: requests * 210, cached_tokens: requests * 900, cost_usd: requests * 0.0021, unpriced: failed,
});
const times = (p50) => ({ latency_ms: { p50, p95: p50 * 3.1 }, ttft_ms: { p50: p50 * 0.35, p95: p50 * 0.9 } });

function buckets(range) {
  const [count, step] = { "24h": [24, 3600], "7d": [7, 86400], "30d": [30, 86400] }[range];
  return Array.from({ length: count }, (_, i) => {
    const requests = Math.round(40 + 38 * Math.sin(i / 3.2) + ((i * 37) % 17));
    return { start: iso((i - count + 1) * step), ...sums(requests, i % 5 === 0 ? 3 : 0) };
  });
}

export function sample(range = "24h", word = (text) => text, link = "https://support.google.com/") {
  const credential = (id, more) => ({
    id, email: "a*i*e*******@gmail.com", project_id: "***-2345", status: "active", is_available: true, expiry: "2026-11-23 02:40:00 UTC",
    usage_count: 412, created_at: iso(-86400), last_used_at: iso(-42), last_refreshed_at: iso(-900), exhausted_until: null, failed_at: null,
    failure_reason: null, rate_limited_until: null, kind: "oauth", label: null, tier: "standard-tier", reason_code: null, link: null, models: [],
    disabled: false, source: "file", ...more,
  });
  return {
    "admin/status": {
      name: "gemini-openai-proxy", version: "0.1.0", uptime_seconds: 93784, now: iso(0), memory_bytes: 21_400_000,
      server: { connections: 14, busy: 3, queued: 0, workers: 64 }, address: "https://gemini.example.com",
      alerts: [
        { level: "warning", code: "example_key", params: {}, text: "" }, { level: "error", code: "credentials_unsaved", params: { reason: word("disk full") }, text: "" },
      ],
      replicas: ["a", "b", "c"].map((name, i) => ({
        name: word(`replica-${name}`), incarnation: `replica-${name}-0123abcd`, version: "0.1.0", since: iso(-86400), busy: i, workers: 64, beat: iso(i < 2 ? -2 : -900),
        alive: i < 2, here: i === 0, clock_ahead_seconds: i * 1.5, config_unlike: i === 1 ? [word("model_routes"), "auth_keys"] : [],
      })),
      config: {
        [word("server.port")]: { value: 8889, source: "file" }, public_url: { value: word("https://gemini.example.com"), source: "file" },
        auth_keys: { value: ["sk-t…9f2"], source: "file" }, max_attempts: { value: 3, source: "default" }, log_level: { value: "info", source: "default" },
      },
    },
    "admin/credentials": [
      credential("cred-0", { email: word("a*i*e*******@gmail.com"), project_id: word("***-2345"), tier: word("standard-tier") }),
      credential("cred-1", { kind: "api_key", label: word("studio key …x9Qk"), email: "None", project_id: "None", expiry: "N/A", tier: null,
        models: [{ model: word("gemini-2.5-pro"), cooling_until: iso(2563), reason: word("RATE_LIMIT_EXCEEDED"), refused: false, detail: word("-"), told: { code: "rate_limit", params: {} } }, { model: word("gemini-3-pro-preview"), cooling_until: iso(41), reason: "NOT_FOUND", refused: true, detail: word("of a newer version"), told: { code: "of_a_newer_version" } }] }),
      credential("cred-2", { email: word("b*b@example.com"), status: "error", is_available: false, reason_code: word("VALIDATION_REQUIRED"),
        failure_reason: word("-"), told: { code: "untried", params: { why: { code: "said", params: { text: word("Verify your account to continue.") } } } }, link, failed_at: iso(-600) }),
      credential("cred-3", { kind: "api_key", label: word("old key"), source: "config", disabled: true, is_available: false, email: "None", project_id: "None", expiry: "N/A", tier: null, usage_count: 0 }),
    ],
    "admin/stats": {
      range, buckets: buckets(range),
      models: [["gemini-2.5-flash", 812, 4], ["gemini-2.5-pro", 304, 22], ["gemini-3-pro-preview", 61, 1], ["gemini-2.5-flash-lite", 18, 0]]
        .map(([model, n, failed], i) => ({ model: word(model), ...sums(n, failed), ...times(900 + i * 1400) })),
      keys: [["laptop", 700], ["open-webui", 401], ["claude-code", 94]].map(([key, n]) => ({ key: word(key), ...sums(n, 9), ...times(1500) })),
      credentials: [["cred-0", null, 640], ["cred-1", "studio key …x9Qk", 555]].map(([credential, label, n]) => ({ credential, label: label && word(label), ...sums(n, 13), ...times(1600) })),
      failures: [{ reason: "429", count: 19, by: "google" }, { reason: "503", count: 6, by: "google" }, { reason: word("Denied: SAFETY"), count: 2, by: "google" }, { reason: "rate_limit_exceeded", count: 14, by: "proxy" }],
      today: { ...sums(1195, 27), ...times(1480) },
    },
    "admin/keys": { keys: [
      { id: "config-0", name: word("default"), masked: word("sk-t…9f2"), source: "config", disabled: false, models: [], limits: {}, today: { requests: 12, tokens: 30100 }, last_used: iso(-9000) },
      { id: "k1", name: word("open-webui"), masked: "sk-a…77c", source: "page", disabled: false, models: [word("gemini-2.5-flash")], limits: { requests_per_minute: 20, requests_per_day: 1000, tokens_per_day: 2000000, concurrency: 4, expires_at: iso(86400 * 90) }, today: { requests: 401, tokens: 1100000 }, last_used: iso(-3) },
      { id: "k2", name: word("guest"), masked: "sk-b…01d", source: "page", disabled: true, models: [], limits: { requests_per_day: 50 }, today: { requests: 0, tokens: 0 }, last_used: null },
    ] },
    "admin/models": {
      models: [
        { name: word("gemini-2.5-pro"), display_name: "Gemini 2.5 Pro", kind: "text", listed: true, alias_of: null, served_by: null, input_token_limit: 1048576, output_token_limit: 65536,
          credentials: { able: 2, now: 1, away: 1, resting: [{ credential: "cred-1", label: word("studio key …x9Qk"), until: iso(2563), refused: false, told: { code: "rate_limit", params: {} }, detail: "-" }] } },
        { name: word("gpt-4o"), display_name: "gpt-4o", kind: "text", listed: true, alias_of: word("gemini-3.8-flash"), served_by: null, input_token_limit: null, output_token_limit: null, credentials: { able: 2, now: 2, away: 0, resting: [] } },
        { name: "gemini-embedding-001", display_name: "Gemini Embedding 001", kind: "embeddings", listed: false, alias_of: null, served_by: null, input_token_limit: 2048, output_token_limit: null, credentials: { able: 1, now: 0, away: 30, resting: [] } },
      ],
      routes: [{ pattern: word("claude-*"), models: ["gemini-3.1-pro-preview", "gemini-3.8-flash"] }],
    },
    "admin/requests": { requests: Array.from({ length: 14 }, (_, i) => ({
      time: iso(-7 - i * 49), id: word(`0b9c2a1e-${1000 + i}`), key: word(["laptop", "open-webui", "claude-code"][i % 3]), surface: ["openai", "anthropic", "gemini"][i % 3],
      model: word(["gemini-2.5-flash", "gemini-2.5-pro"][i % 2]), credential: ["cred-0", "cred-1"][i % 2], status: i % 7 === 3 ? 429 : 200, attempts: i % 7 === 3 ? 3 : 1,
      ms: 800 + i * 331, ttft_ms: i % 7 === 3 ? null : 300 + i * 40, prompt_tokens: 1000 + i * 97, completion_tokens: i % 7 === 3 ? 0 : 120 + i * 13,
      error: i % 7 === 3 ? word("quota exhausted for gemini-2.5-pro, retry in 41 s") : null,
      tries: [...(i % 7 === 3 ? [{ credential: word("cred-1"), status: "429", reason: word("RATE_LIMIT_EXCEEDED"), said: word("Quota exceeded for quota metric requests"), ms: 90 }] : []), { credential: "cred-0", status: "200", reason: "", said: "", ms: 700 }],
    })), more: false },
    "admin/log": { lines: [{ n: 1, time: iso(-60), level: "INFO", text: word("listening on http://0.0.0.0:8889") }, { n: 2, time: iso(-9), level: "WARN", text: word("cred-1 rests for 41 s") }], next: 2 },
  };
}

// Quota of one credential.
export const quota = (word = (text) => text) => ({ fetched_at: iso(0), buckets: [
  { model: word("gemini-2.5-pro"), remaining_fraction: 0.08, reset_time: iso(7300) },
  { model: word("gemini-2.5-flash"), remaining_fraction: 0.71, reset_time: iso(31000) },
] });

const stateOfCredential = (c) => (c.disabled ? "off" : c.status === "error" ? "bad" : c.exhausted_until || c.models.length > 0 ? "warn" : "good");
const stateOfKey = (key) => (key.disabled ? "off" : "good");

// What the server makes of a whole list for a query.
function cut(all, name, stateOf, query) {
  const words = (query.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const state = query.get("state");
  const states = {};
  for (const item of all) states[stateOf(item)] = (states[stateOf(item)] ?? 0) + 1;
  const found = all.filter((item) => (!state || stateOf(item) === state) && words.every((word) => `${item.id} ${item.name} ${item.label}`.toLowerCase().includes(word)));
  if (query.get("sort") === "name") found.sort((a, b) => (a.name ?? a.label ?? a.id).localeCompare(b.name ?? b.label ?? b.id));
  const skip = Number(query.get("skip") ?? 0);
  return { [name]: found.slice(skip, skip + Number(query.get("limit") ?? 100)), total: all.length, found: found.length, next: null, summary: { states } };
}

function pools(all, query) {
  const answer = cut(all, "credentials", stateOfCredential, query);
  const able = all.filter((c) => c.is_available);
  const cooling = new Map();
  for (const { model, cooling_until: until } of able.flatMap((c) => c.models)) {
    const known = cooling.get(model) ?? { model, credentials: 0, until };
    cooling.set(model, { ...known, credentials: known.credentials + 1 });
  }
  Object.assign(answer.summary, { available: able.length, cooling: [...cooling.values()], usage_count: all.reduce((sum, c) => sum + c.usage_count, 0),
    recovers_at: all.filter((c) => !c.disabled).flatMap((c) => [c.exhausted_until, ...c.models.map((m) => m.cooling_until)]).filter(Boolean).sort()[0] ?? null });
  return answer;
}

// Makes a page of `context` see these answers instead of the server's.
export async function answerWithSample(context, { word, link, change = () => {} } = {}) {
  await context.route("**/admin/**", (route) => {
    const url = new URL(route.request().url());
    const path = url.pathname.slice(1);
    if (route.request().method() !== "GET") return route.fulfill({ json: { status: "success" } });
    if (path.endsWith("/quota")) return route.fulfill({ json: quota(word) });
    const answers = sample(url.searchParams.get("range") ?? "24h", word, link);
    change(answers);
    if (path === "admin/credentials") return route.fulfill({ json: pools(answers[path], url.searchParams) });
    if (path === "admin/keys") return route.fulfill({ json: cut(answers[path].keys, "keys", stateOfKey, url.searchParams) });
    return path in answers ? route.fulfill({ json: answers[path] }) : route.fulfill({ status: 404, json: { detail: "Not Found" } });
  });
}
