// Requests, the settings, and the log: what was asked, how it went over which attempts, with what configuration.
import { $, button, chip, fact, h, note, onAction, render, table } from "./dom.js";
import { ago, exactly, milliseconds, money, number, short, t, when } from "./text.js";
import { get } from "./api.js";
import { attempt, copy } from "./dialog.js";

const PAGE = 50;
const LAST = 200;
const DAYS = { "24h": 1, "7d": 7, "30d": 30 };
const FIELDS = { q: "filter", client: "key", model: "model", outcome: "outcome" };
let paused = null;
// What was found in the history, null while the last ones are shown.
let history = null;
// How many of the last ones are shown.
let most = PAGE;

const value = (name) => $(`request-${FIELDS[name]}`).value.trim();
const isFiltered = () => Object.keys(FIELDS).some(value);

// What a poll asks for: no more than is shown, unless it is to be searched.
export const wantedRequests = () => `admin/requests?limit=${isFiltered() ? LAST : Math.min(most + 1, LAST)}`;

function fits(request) {
  const text = [request.model, request.key, request.credential, request.status, request.id, request.surface, request.error].join(" ").toLowerCase();
  const outcome = value("outcome");
  return value("q").toLowerCase().split(/\s+/).every((word) => text.includes(word))
    && (!value("client") || request.key === value("client")) && (!value("model") || request.model === value("model"))
    && (!outcome || (outcome === "ok" ? request.status < 400 : outcome === "failed" ? request.status >= 400 : String(request.status) === outcome));
}

// What the server is asked for the same choice.
function query(more = {}) {
  const choice = { ...Object.fromEntries(Object.keys(FIELDS).map((name) => [name, value(name)])), ...more };
  const days = DAYS[$("request-range").value];
  if (days) choice.from = new Date(Date.now() - days * 86_400_000).toISOString();
  return new URLSearchParams(Object.entries(choice).filter(([, value]) => value !== "")).toString();
}

// The same choice as files.
function offerFiles() {
  $("request-csv").href = `admin/requests.csv?${query({ limit: 100_000 })}`;
  $("request-json").href = `admin/requests?${query({ limit: 100_000 })}`;
}

function row(r) {
  const good = r.status < 400;
  const tries = r.tries ?? [];
  return h("li", { class: "row request", "data-key": r.id }, h("details", null,
    h("summary", null, h("time", { datetime: r.time, title: exactly(r.time) }, when(r.time)),
      h("span", { class: `word ${good ? "good" : "bad"}` }, `${good ? "✓" : "✕"} ${r.status}`, r.attempts > 1 && h("span", { class: "more" }, ` ${t("attempts", { n: r.attempts })}`)),
      h("b", { class: "name" }, r.model), h("span", { class: "more" }, r.key ?? "–"), h("span", { class: "more figures" }, milliseconds(r.ms)),
      h("span", { class: "note more figures" }, `${short(r.prompt_tokens)} + ${short(r.completion_tokens)}`)),
    h("p", null, h("code", null, r.id), " ", button("copy", t("copy"), { "data-id": r.id, "aria-label": `${t("copy")} ${r.id}` })),
    h("p", { class: "facts" }, chip(r.surface), fact(t("key"), r.key), fact(t("credential"), r.credential), fact(t("tileLatency"), milliseconds(r.ms)),
      fact(t("ttft"), r.ttft_ms == null ? null : milliseconds(r.ttft_ms)), fact(t("prompt"), number(r.prompt_tokens)), fact(t("cached"), r.cached_tokens ? number(r.cached_tokens) : null), fact(t("answer"), number(r.completion_tokens)),
      fact(t("mediaMade"), r.images), fact(t("mediaTime"), r.audio_seconds && milliseconds(r.audio_seconds * 1000)),
      fact(t("cost"), r.cost_usd == null ? null : money(r.cost_usd))),
    r.error && h("p", { class: "reason bad" }, r.error),
    tries.length > 0 && h("ol", { class: "tries" }, tries.map((one) => h("li", null, one.credential, " · ", h("span", { class: one.status === "200" ? "good" : "bad" }, [one.status, one.reason].filter(Boolean).join(" ")),
      ` · ${milliseconds(one.ms)}`, one.said && note(` ${one.said}`))))));
}

export function drawRequests(state) {
  if (!state.requests) return;
  offerFiles();
  const list = history?.requests ?? paused ?? state.requests.requests;
  const fitting = history ? list : list.filter(fits);
  const shown = history ? list : fitting.slice(0, most);
  const more = history?.more || fitting.length > most;
  render($("known-request-keys"), (state.stats?.keys ?? []).map(({ key }) => h("option", { value: key })));
  render($("known-request-models"), (state.stats?.models ?? []).map(({ model }) => h("option", { value: model })));
  render($("request-list"), shown.length === 0 ? h("p", { class: "card note" }, list.length === 0 && !history ? t("noRequests") : t("noMatch"))
    : h("ul", { class: "rows card" }, shown.map(row)), more && button("more", t("showMore", { n: PAGE })));
}

// Those that are silent in grey.
const replicas = (list) => list?.length > 0 && h("div", { class: "card" }, table(t("replicas"), ["", "Version", "Since", "Busy", "Beat", "Clock", "Config"].map((name) => ({ label: t(`replica${name}`) })),
  list.map((r) => [r.name, r.version, when(r.since), `${r.busy ?? "–"} / ${r.workers ?? "–"}`, ago(r.beat), `${number(r.clock_ahead_seconds)} s`, r.config_unlike && (r.config_unlike.join(", ") || "✓")]
    .map((text) => (r.alive ? text : note(text)))), { cards: true }));

export function drawSettings({ status }) {
  if (!status?.config) return;
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  render($("config"), replicas(status.replicas), h("div", { class: "card" }, table(t("settings"), [{ label: t("setting") }, { label: t("value") }, { label: t("source") }],
    Object.entries(status.config).map(([name, { value, source }]) => [h("code", null, name), h("code", null, value === null ? "–" : text(value)),
      h("span", { class: source === "default" ? "note" : "chip" }, t(`source_${source}`))]), { cards: true })));
}

// Lines are added, not drawn anew: there may be hundreds.
export function addLog({ lines }) {
  $("log").hidden = false;
  const pane = $("log-lines");
  const end = pane.scrollTop + pane.clientHeight >= pane.scrollHeight - 8;
  pane.append(...lines.map((line) => h("span", { class: { ERROR: "bad", WARN: "warn" }[line.level] }, `${when(line.time)} ${line.level} ${line.text}\n`)));
  while (pane.childNodes.length > 500) pane.firstChild.remove();
  if (end) pane.scrollTop = pane.scrollHeight;
}

export function startRequests(state) {
  const draw = () => drawRequests(state);
  let asked = 0;
  // Looks the choice up in the history, or among the last requests.
  const find = async (skip = 0) => {
    const mine = ++asked;
    const wanted = $("request-range").value ? `admin/requests?${query({ limit: PAGE, skip })}` : wantedRequests();
    offerFiles();
    const found = await get(wanted);
    if (mine !== asked) return;
    if ($("request-range").value) history = { requests: skip ? [...history.requests, ...found.requests] : found.requests, more: found.more };
    else [history, state.requests] = [null, found];
    draw();
  };
  const look = () => { most = PAGE; attempt(null, find); };
  $("request-filter").addEventListener("input", look);
  for (const name of ["key", "model", "outcome", "range"]) $(`request-${name}`).addEventListener("change", look);
  onAction($("request-list"), {
    copy: (id) => copy(id),
    more: (_, source) => { most += PAGE; attempt(source, () => find(history?.requests.length ?? 0)); },
  });
  $("request-pause").addEventListener("click", (event) => {
    paused = paused ? null : (state.requests?.requests ?? []);
    event.currentTarget.setAttribute("aria-pressed", String(Boolean(paused)));
    draw();
  });
}
