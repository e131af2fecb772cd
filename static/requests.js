// Requests, the settings, and the log: what was asked, how it went over which attempts, with what configuration.
import { $, button, h, onAction, render, table } from "./dom.js";
import { milliseconds, money, number, t, when } from "./text.js";
import { get } from "./api.js";
import { attempt, copy } from "./dialog.js";

const PAGE = 200;
const DAYS = { "24h": 1, "7d": 7, "30d": 30 };
let paused = null;
// What was found in the history, null while the last ones are shown.
let history = null;

const wordsNow = () => $("request-filter").value.toLowerCase().split(/\s+/).filter(Boolean);

function matches(request, words) {
  const text = [request.model, request.key, request.credential, request.status, request.id, request.surface, request.error].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

// What the server is asked for the same choice.
function query(more = {}) {
  const choice = { q: $("request-filter").value.trim(), outcome: $("request-failed").checked ? "failed" : "", ...more };
  const days = DAYS[$("request-range").value];
  if (days) choice.from = new Date(Date.now() - days * 86_400_000).toISOString();
  return new URLSearchParams(Object.entries(choice).filter(([, value]) => value !== "")).toString();
}

// The same choice as files.
function offerFiles() {
  $("request-csv").href = `admin/requests.csv?${query({ limit: 100_000 })}`;
  $("request-json").href = `admin/requests?${query({ limit: 100_000 })}`;
}

function attempts(request) {
  return h("details", null, h("summary", null, t("details")),
    h("p", null, h("code", null, request.id), " ", button("copy", t("copy"), { "data-id": request.id, "aria-label": `${t("copy")} ${request.id}` }), request.cost_usd != null && ` ${t("cost")}: ${money(request.cost_usd)}`),
    h("ol", { class: "tries" }, (request.tries ?? []).map((one) => h("li", null, one.credential, " · ", h("span", { class: one.status === "200" ? "good" : "bad" }, [one.status, one.reason].filter(Boolean).join(" ")),
      ` · ${milliseconds(one.ms)}`, one.said && h("span", { class: "note" }, ` ${one.said}`)))));
}

export function drawRequests(state) {
  if (!state.requests) return;
  offerFiles();
  const list = history?.requests ?? paused ?? state.requests.requests;
  const words = wordsNow();
  const shown = history ? list : list.filter((request) => matches(request, words) && (!$("request-failed").checked || request.status >= 400));
  if (shown.length === 0) return render($("request-list"), h("p", { class: "card note" }, list.length === 0 && !history ? t("noRequests") : t("noMatch")));
  const columns = [{ label: t("time") }, { label: t("status") }, { label: t("details") }, { label: t("model") }, { label: t("key") }, { label: t("credential") },
    { label: t("tileLatency"), number: true }, { label: t("ttft"), number: true }, { label: t("prompt"), number: true }, { label: t("answer"), number: true }, { label: t("error") }];
  const rows = shown.map((r) => Object.assign([
    h("time", { datetime: r.time, title: r.time }, when(r.time)),
    h("span", { class: r.status < 400 ? "good" : "bad" }, `${r.status < 400 ? "✓" : "✕"} ${r.status}`, r.attempts > 1 && ` ${t("attempts", { n: r.attempts })}`), attempts(r),
    [r.model, " ", h("span", { class: "note" }, r.surface)], r.key ?? "–", r.credential || "–", milliseconds(r.ms), milliseconds(r.ttft_ms),
    number(r.prompt_tokens), number(r.completion_tokens), r.error ?? "",
  ], { key: r.id }));
  render($("request-list"), h("div", { class: "card" }, table(t("requestsTitle"), columns, rows, { cards: true }),
    history?.more && button("more", t("showMore", { n: PAGE }))));
}

export function drawSettings({ status }) {
  if (!status?.config) return;
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  render($("config"), h("div", { class: "card" }, table(t("settings"), [{ label: t("setting") }, { label: t("value") }, { label: t("source") }],
    Object.entries(status.config).map(([name, { value, source }]) => [h("code", null, name), h("code", null, value === null ? "–" : text(value)),
      h("span", { class: source === "default" ? "note" : "chip" }, t(`source_${source}`))]))));
}

// Lines are added, not drawn anew: there may be hundreds.
export function addLog({ lines }) {
  $("log").hidden = false;
  const pane = $("log-lines");
  const end = pane.scrollTop + pane.clientHeight >= pane.scrollHeight - 8;
  pane.append(...lines.map((line) => h("span", { class: { ERROR: "bad", WARN: "warn" }[line.level] }, `${line.time} ${line.level} ${line.text}\n`)));
  while (pane.childNodes.length > 500) pane.firstChild.remove();
  if (end) pane.scrollTop = pane.scrollHeight;
}

export function startRequests(state) {
  const draw = () => drawRequests(state);
  let asked = 0;
  // Looks the choice up in the history, or goes back to the last requests.
  const find = async (skip = 0) => {
    const mine = ++asked;
    offerFiles();
    if (!$("request-range").value) history = null;
    else {
      const found = await get(`admin/requests?${query({ limit: PAGE, skip })}`);
      if (mine !== asked) return;
      history = { requests: skip ? [...history.requests, ...found.requests] : found.requests, more: found.more };
    }
    draw();
  };
  const look = () => ($("request-range").value || history ? attempt(null, find) : draw());
  $("request-filter").addEventListener("input", look);
  $("request-failed").addEventListener("change", look);
  $("request-range").addEventListener("change", look);
  onAction($("request-list"), { copy: (id) => copy(id), more: (_, source) => attempt(source, () => find(history.requests.length)) });
  $("request-pause").addEventListener("click", (event) => {
    paused = paused ? null : (state.requests?.requests ?? []);
    event.currentTarget.setAttribute("aria-pressed", String(Boolean(paused)));
    draw();
  });
}
