// Client keys: who may call, with which limits, how much today. A new key is shown once.
import { $, button, chip, fact, h, more, named, onAction, remark, render } from "./dom.js";
import { ago, number, short, t, when } from "./text.js";
import { send } from "./api.js";
import { ask, attempt, change, copy } from "./dialog.js";
import { list } from "./list.js";

const LIMITS = ["requests_per_minute", "requests_per_day", "tokens_per_day", "tokens_per_month", "dollars_per_day", "dollars_per_month", "concurrency"];
const STATES = { bad: "stateEnded", warn: "stateOver", good: "stateActive", off: "stateDisabled" };
let fresh = null;

const labelOf = (key) => key.name || key.id;

// Cents count in an amount of money.
const limit = (name, value) => t(`limit_${name}`, { n: name.startsWith("dollars") ? number(value) : short(value) });

function limits(key) {
  const set = LIMITS.filter((name) => key.limits?.[name] != null).map((name) => limit(name, key.limits[name]));
  if (key.limits?.expires_at) set.push(t("expires", { time: when(key.limits.expires_at) }));
  if (key.models?.length > 0) set.push(key.models.join(", "));
  return set.length > 0 ? set.join(" · ") : t("noLimits");
}

// Name, use and amount of each limit of days and months that is set.
const usedOf = ({ today, month, limits }) => Object.entries({
  requests_per_day: today?.requests, tokens_per_day: today?.tokens, tokens_per_month: month?.tokens,
  dollars_per_day: today?.cost_usd, dollars_per_month: month?.cost_usd,
}).filter(([name]) => limits?.[name] != null).map(([name, value]) => [name, value ?? 0, limits[name]]);

// Today's and this month's use against the limits of days and months.
function today(key) {
  return [t("todayUse", { requests: number(key.today?.requests), tokens: short(key.today?.tokens) }),
    usedOf(key).map(([name, value, most]) => h("progress", { class: "up", max: most || 1, value: Math.min(value, most), "aria-label": limit(name, most) }))];
}

function condition(key) {
  if (key.disabled) return "off";
  if (key.limits?.expires_at && Date.parse(key.limits.expires_at) <= Date.now()) return "bad";
  return usedOf(key).some(([, value, most]) => value >= most) ? "warn" : "good";
}

function row(key) {
  const turn = key.disabled ? "enable" : "disable";
  const [state, used] = [condition(key), key.last_used ? ago(key.last_used) : t("never")];
  return [
    [named(labelOf(key), state, t(STATES[state])),
      h("code", { class: "note more" }, key.masked), more(t("times", { n: number(key.today?.requests) }), "figures"),
      more(used)],
    [h("p", { class: "facts" }, h("code", null, key.masked), key.source === "config" && chip("config.json"),
      fact(t("lastUsed"), used)),
    h("p", null, fact(t("limits"), limits(key))),
    h("p", null, fact(t("today"), today(key))),
    key.source === "config" ? remark(t("keyInConfig")) : h("div", { class: "actions" },
      button("limits", t("limitsButton"), { "aria-label": t("limitsOf", { name: labelOf(key) }) }),
      button(turn, t(turn), { "aria-label": `${t(turn)} ${labelOf(key)}` }),
      button("delete", t("delete"), { class: "danger", "aria-label": t("deleteTitle", { name: labelOf(key) }) }))],
  ];
}

export function drawKeys() {
  keyList.draw();
  render($("new-key"), fresh && h("div", { class: "card fresh" }, h("p", null, h("b", null, t("keyOnce"))),
    h("p", null, h("code", null, fresh), " ", button("copy", t("copy"), { class: "primary" }), " ", button("forget", t("dismiss"))),
    remark(t("keyOnceNote"))));
}

export let keyList = null;

function fields(key) {
  const list = LIMITS.map((name) => ({ name, label: t(`field_${name}`), type: "number", step: name.startsWith("dollars") ? "any" : null, value: key?.limits?.[name] ?? "", hint: null }));
  list.push({ name: "expires_at", label: t("field_expires_at"), type: "date", value: (key?.limits?.expires_at ?? "").slice(0, 10) });
  list.push({ name: "models", label: t("models"), value: (key?.models ?? []).join(", "), hint: t("field_models_hint") });
  return list;
}

// Empty fields mean no limit.
function body(answer) {
  const values = Object.fromEntries(LIMITS.map((name) => [name, answer[name] === "" ? null : Number(answer[name])]));
  return { ...values, models: answer.models.split(/[\s,]+/).filter(Boolean), expires_at: answer.expires_at ? `${answer.expires_at}T23:59:59Z` : null };
}

// `made` is told a new key, so that the snippets can use it.
export function startKeys({ refresh, made }) {
  keyList = list({ id: "key-list", path: "admin/keys", items: "keys", states: STATES, actions: ["enable", "disable", "delete"], row, nameOf: labelOf, empty: "noKeys", refresh });
  const path = (id) => `admin/keys/${encodeURIComponent(id)}`;
  const set = (id, source, values, message) => attempt(source, () => change(() => send("POST", path(id), values), message, refresh));
  $("key-add").addEventListener("click", () => ask({
    title: t("keyAddTitle"), text: t("keyAddText"), fields: [{ name: "name", label: t("name") }, ...fields()], confirm: t("keyAddConfirm"),
    async act(answer) {
      const wanted = Object.entries(body(answer)).filter(([, value]) => value !== null && value.length !== 0);
      const created = await send("POST", "admin/keys", { name: answer.name.trim(), ...Object.fromEntries(wanted) });
      fresh = created.key;
      made(fresh, answer.name.trim());
      refresh().then(() => $("new-key").querySelector("button")?.focus());
    },
  }));
  onAction($("new-key"), { copy: () => copy(fresh), forget: () => { fresh = null; render($("new-key")); } });
  onAction($("key-list"), {
    enable: (id, source) => set(id, source, { disabled: false }, t("enabled")),
    disable: (id, source) => set(id, source, { disabled: true }, t("disabled")),
    limits(id) {
      const key = keyList.find(id);
      ask({ title: t("limitsOf", { name: labelOf(key) }), text: t("limitsText"), fields: fields(key), confirm: t("save"),
        act: (answer) => change(() => send("POST", path(id), body(answer)), t("saved"), refresh) });
    },
    delete(id) {
      const key = keyList.find(id);
      ask({ title: t("deleteTitle", { name: labelOf(key) }), text: t("keyDeleteText"), word: labelOf(key), confirm: t("delete"), danger: true,
        act: () => change(() => send("DELETE", path(id)), t("deleted"), refresh) });
    },
  });
}
