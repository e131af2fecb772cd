// The last requests, the settings, and the log: what was asked, how it went, with what configuration.
import { $, h, render, table } from "./dom.js";
import { milliseconds, number, t, when } from "./text.js";

let paused = null;

function matches(request, words) {
  const text = [request.model, request.key, request.credential, request.status, request.id, request.surface, request.error].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

export function drawRequests(state) {
  if (!state.requests) return;
  const list = paused ?? state.requests.requests;
  const words = $("request-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = list.filter((request) => matches(request, words) && (!$("request-failed").checked || request.status >= 400));
  if (shown.length === 0) return render($("request-list"), h("p", { class: "card note" }, list.length === 0 ? t("noRequests") : t("noMatch")));
  const columns = [{ label: t("time") }, { label: t("status") }, { label: t("model") }, { label: t("key") }, { label: t("credential") },
    { label: t("tileLatency"), number: true }, { label: t("ttft"), number: true }, { label: t("prompt"), number: true }, { label: t("answer"), number: true }, { label: t("error") }];
  render($("request-list"), h("div", { class: "card" }, table(t("requestsTitle"), columns, shown.map((r) => [
    h("time", { datetime: r.time, title: `${r.time} ${r.id}` }, when(r.time)),
    h("span", { class: r.status < 400 ? "good" : "bad" }, `${r.status < 400 ? "✓" : "✕"} ${r.status}`, r.attempts > 1 && ` ${t("attempts", { n: r.attempts })}`),
    [r.model, " ", h("span", { class: "note" }, r.surface)], r.key ?? "–", r.credential ?? "–", milliseconds(r.ms), milliseconds(r.ttft_ms),
    number(r.prompt_tokens), number(r.completion_tokens),
    r.error ? [r.error, " ", h("code", { class: "note" }, r.id)] : "",
  ]), { cards: true })));
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
  $("request-filter").addEventListener("input", draw);
  $("request-failed").addEventListener("change", draw);
  $("request-pause").addEventListener("click", (event) => {
    paused = paused ? null : (state.requests?.requests ?? []);
    event.currentTarget.setAttribute("aria-pressed", String(Boolean(paused)));
    draw();
  });
}
