// Usage over a range: plots over time, who used what, why requests failed.
import { $, h, note, remark, render, table as wide } from "./dom.js";
import { has, languageNow, milliseconds, money, number, percent, short, t } from "./text.js";
import { send } from "./api.js";
import { ask, attempt, change } from "./dialog.js";
import { bars, figure, followPointer, line, share, spans } from "./plot.js";

export let range = "24h";

function label(bucket) {
  const time = new Date(bucket.start);
  const locale = languageNow() === "zh" ? "zh-CN" : "en";
  if (range === "24h") return time.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  // Days are counted in UTC by the server.
  return time.toLocaleDateString(locale, { month: "short", day: "numeric", timeZone: "UTC" });
}

const tokens = (row) => (row.prompt_tokens ?? 0) + (row.completion_tokens ?? 0) + (row.thinking_tokens ?? 0);

function plots(stats) {
  return [
    bars({ id: "plot-requests", title: t("requests"), buckets: stats.buckets, label, series: [
      { name: t("answered"), color: "c-main", value: (b) => b.requests - b.failed },
      { name: t("failed"), color: "c-bad", value: (b) => b.failed },
    ] }),
    bars({ id: "plot-tokens", title: t("tokens"), buckets: stats.buckets, label, series: [
      { name: t("prompt"), color: "c-second", value: (b) => b.prompt_tokens },
      { name: t("answer"), color: "c-main", value: (b) => b.completion_tokens },
      { name: t("thinking"), color: "c-third", value: (b) => b.thinking_tokens },
    ] }),
    spans({ id: "plot-latency", title: t("plotLatency"), rows: stats.models.filter((m) => m.latency_ms?.p50 != null).slice(0, 6).map((m) => ({
      name: m.model, spans: [{ name: t("tileLatency"), color: "c-main", ...m.latency_ms }, { name: t("ttft"), color: "c-second", ...m.ttft_ms }],
    })) }),
    shares("plot-keys", t("byKey"), stats.keys.map((k) => [k.key, k])),
    shares("plot-models", t("byModel"), stats.models.map((m) => [m.model || t("noModel"), m])),
    failures(stats.failures ?? []),
  ];
}

// Requests and tokens of each key or model, as shares of all.
function shares(id, title, rows) {
  const [allRequests, allTokens] = rows.reduce(([a, b], [, row]) => [a + row.requests, b + tokens(row)], [0, 0]);
  const sorted = [...rows].sort(([, a], [, b]) => b.requests - a.requests).slice(0, 6);
  return figure(id, title, note(t("sharesNote")),
    sorted.length === 0 && remark(t("nothingYet")),
    h("dl", { class: "spans" }, sorted.map(([name, row]) => [h("dt", { "data-key": name }, name),
      line(t("requests"), share(row.requests, allRequests), short(row.requests)), line(t("tokens"), share(tokens(row), allTokens), short(tokens(row)))])));
}

// Why it failed, in words: what Google answered to an attempt, or why the proxy did not ask.
function why({ reason, by }) {
  const name = `failure_${by}_${reason.replace("invalid_value", "invalid_request_error")}`;
  const [word, who] = [has(name) ? t(name) : /^5\d\d$/.test(reason) ? t("failure_google_5xx") : reason, by === "proxy" ? t("turnedAway") : "Google"];
  return [word, " ", note(/^\d+$/.test(reason) ? `${who} ${reason}` : who)];
}

function failures(list) {
  const all = list.reduce((sum, failure) => sum + failure.count, 0);
  return figure("plot-failures", t("plotFailures"), note(t("failuresNote", { n: short(all) })),
    list.length === 0 && remark(t("noFailures")),
    h("dl", { class: "spans" }, [...list].sort((a, b) => b.count - a.count).slice(0, 8).map((failure) => [h("dt", { "data-key": `${failure.by} ${failure.reason}` }, why(failure)),
      line("", share(failure.count, all), number(failure.count))])));
}

function table(caption, first, rows) {
  const columns = [{ label: first }, ...["requests", "tileSuccess", "prompt", "answer", "thinking", "cached", "cost", "tileLatency", "ttft"].map((name) => ({ label: t(name), number: true }))];
  return h("details", { class: "card", "data-key": caption, open: first === t("model") }, h("summary", null, h("b", null, caption), " ", note(number(rows.length))),
    rows.length === 0 ? remark(t("nothingYet")) : wide(caption, columns, rows.map(([name, row]) => [
      name, number(row.requests), percent(row.requests - row.failed, row.requests), short(row.prompt_tokens), short(row.completion_tokens),
      short(row.thinking_tokens), short(row.cached_tokens), [money(row.cost_usd), row.unpriced > 0 && note(` ${t("unpriced", { n: number(row.unpriced) })}`)], milliseconds(row.latency_ms?.p50), milliseconds(row.ttft_ms?.p50)]), { cards: true }));
}

export function drawUsage({ stats }) {
  if (!stats) return;
  render($("plots"), plots(stats));
  render($("tables"),
    table(t("byModel"), t("model"), stats.models.map((m) => [m.model || t("noModel"), m])),
    table(t("byKey"), t("key"), stats.keys.map((k) => [k.key, k])),
    table(t("byCredential"), t("credential"), stats.credentials.map((c) => [c.label ? `${c.label} (${c.credential})` : c.credential || t("nobodyAsked"), c])));
}

export function startUsage({ refresh }) {
  followPointer($("plots"));
  for (const choice of document.querySelectorAll("[data-range]")) {
    choice.addEventListener("click", () => {
      range = choice.dataset.range;
      for (const other of document.querySelectorAll("[data-range]")) other.setAttribute("aria-pressed", String(other === choice));
      $("csv").href = `admin/stats.csv?range=${range}`;
      attempt(null, refresh);
    });
  }
  $("usage-reset").addEventListener("click", () => ask({
    title: t("usageResetTitle"), text: t("usageResetText"), word: "reset", confirm: t("usageResetConfirm"), danger: true,
    act: () => change(() => send("POST", "admin/usage/reset"), t("usageWasReset"), refresh),
  }));
}
