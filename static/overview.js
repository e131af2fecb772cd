// The top of the page: does it work, and if not, what to do; then the numbers of today.
import { $, button, h, note, onAction, remark, render } from "./dom.js";
import { bytes, countdown, duration, milliseconds, number, percent, short, t, told } from "./text.js";
import { sparkline } from "./plot.js";

const MARKS = { good: "✓", warn: "!", bad: "✕", info: "i" };
const dismissed = new Set();

const mark = (kind) => h("span", { class: `mark ${kind}`, "aria-hidden": "true" }, MARKS[kind]);

function sentence(kind, title, ...rest) {
  return [mark(kind), h("div", null, h("p", { class: "title" }, title), remark(rest))];
}

// The one sentence that matters now.
function verdict({ credentials, failure }) {
  if (failure?.status === 401 || failure?.status === 403) return sentence("bad", t("loginTitle"), failure.message, " ", button("reload", t("reload")));
  if (failure) return sentence("bad", t("goneTitle"), t("goneText"), " ", button("retry", t("retry")));
  if (!credentials) return [h("p", { class: "loading" }, t("loading"))];
  const { available: usable, cooling, recovers_at: next } = credentials.summary;
  const words = { usable: number(usable), all: number(credentials.total) };
  if (credentials.total === 0) return sentence("warn", t("emptyTitle"), t("emptyText"));
  if (usable > 0) {
    const out = cooling.filter((model) => model.credentials === usable);
    if (out.length > 0) {
      return sentence("warn", t("partlyTitle"), t("partlyText", { models: out.map(({ model }) => model).join(", ") }), " ", countdown(out.map(({ until }) => until).sort()[0]));
    }
    const resting = cooling.reduce((sum, model) => sum + model.credentials, 0);
    return sentence("good", t("readyTitle"), t("readyText", words), resting > 0 && ` ${t("readyResting", { n: number(resting) })}`);
  }
  if (next) return sentence("warn", t("coolingTitle"), t("coolingText"), " ", countdown(next));
  return sentence("bad", t("brokenTitle"), t("brokenText"));
}

export function startOverview({ retry }) {
  onAction($("state"), { retry, reload: () => location.reload() });
  onAction($("alerts"), { dismiss(code) { dismissed.add(code); $("alerts").querySelector(`[data-id="${CSS.escape(code)}"]`)?.remove(); } });
}

export function drawOverview(state) {
  render($("state"), verdict(state));
  $("state").classList.toggle("stale", Boolean(state.failure));
  drawAlerts(state);
  drawSteps(state);
  drawToday(state);
  drawFooter(state);
}

function drawAlerts({ status, skew }) {
  const alerts = (status?.alerts ?? []).filter((alert) => !["no_credentials", "all_cooling", "none_usable"].includes(alert.code));
  if (Math.abs(skew) > 120_000) {
    alerts.push({ level: "warning", code: "clock", text: t("clock", { time: duration(Math.abs(skew) / 1000) }) });
  }
  const level = { error: "bad", warning: "warn" };
  render($("alerts"), alerts.filter((alert) => !dismissed.has(alert.code)).map((alert) => {
    const kind = level[alert.level] ?? "info";
    return h("div", { class: `alert ${kind}`, "data-key": alert.code, "data-id": alert.code },
      mark(kind),
      h("p", null, told(alert, alert.text)),
      button("dismiss", "×", { class: "quiet", "aria-label": t("dismiss") }));
  }));
}

// The wizard shows itself while there is nothing to serve with, and until the first answer of a fresh server.
function drawSteps({ credentials, keys, stats, failure }) {
  const fresh = credentials && !failure && (credentials.total === 0 || (stats && stats.today?.requests === 0 && credentials.summary.usage_count === 0));
  $("welcome").hidden = !fresh;
  // Nothing was ever asked of it: empty plots would only push the next step down.
  document.body.classList.toggle("unused", Boolean(fresh && stats && stats.models.length === 0));
  if (!fresh) return;
  const steps = [
    [credentials.total > 0, t("addTitle"), t("step1Text"), "#add"],
    [(keys?.total ?? 0) > 0, t("step2"), t("step2Text"), "#keys"],
    [false, t("clientsTitle"), t("step3Text"), "#clients"],
  ];
  const now = steps.findIndex(([done]) => !done);
  render($("steps"), steps.map(([done, title, text, target], i) => h("li", { class: done ? "done" : i === now ? "now" : null, "aria-current": i === now ? "step" : null },
    h("a", { href: target }, title), done && h("span", { class: "good" }, ` ✓ ${t("done")}`), remark(text))));
}

const tile = (name, value, words, extra) => h("div", { class: "tile", "data-key": name }, h("dt", null, name), h("dd", null, h("b", null, value), words && note(words), extra));

function drawToday({ stats }) {
  const today = stats?.today;
  if (!today) return render($("today"));
  const failed = today.failed ?? 0;
  const limited = (stats.failures ?? []).filter((failure) => failure.reason === "429" || failure.reason === "rate_limit_exceeded").reduce((sum, failure) => sum + failure.count, 0);
  const hours = stats.hours ?? [];
  render($("today"), h("dl", { class: "tiles" },
    tile(t("requests"), number(today.requests), failed ? t("tileFailed", { n: number(failed), away: number(today.turned_away) }) : t("tileAllGood"),
      hours.length > 0 && sparkline(hours.map((bucket) => bucket.requests), t("last24h"))),
    tile(t("tileSuccess"), percent(today.requests - failed, today.requests), t("tile429", { n: number(limited) })),
    tile(t("tilePrompt"), short(today.prompt_tokens), t("tileCached", { n: short(today.cached_tokens) })),
    tile(t("tileAnswer"), short(today.completion_tokens), t("tileThinking", { n: short(today.thinking_tokens) })),
    tile(t("tileLatency"), milliseconds(today.latency_ms?.p50), t("tileP95", { time: milliseconds(today.latency_ms?.p95) })),
    tile(t("ttft"), milliseconds(today.ttft_ms?.p50), t("tileP95", { time: milliseconds(today.ttft_ms?.p95) }))));
}

function drawFooter({ status }) {
  if (!status) return;
  $("sign-out").hidden = status.alerts.some(({ code }) => code === "admin_open");
  const server = status.server ?? {};
  render($("footer"), [
    `${status.name} ${status.version}`,
    t("uptime", { time: duration(status.uptime_seconds ?? 0) }),
    status.memory_bytes && t("memory", { n: bytes(status.memory_bytes) }),
    t("workers", { busy: server.busy ?? 0, all: server.workers ?? "–" }),
    t("queued", { n: server.queued ?? 0 }),
    t("connections", { n: server.connections ?? 0 }),
  ].filter(Boolean).map((text) => h("span", null, text)));
}
