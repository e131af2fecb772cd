// Client keys: who may call, with which limits, how much today. A new key is shown once.
import { $, button, h, onAction, render } from "./dom.js";
import { ago, number, short, t, when } from "./text.js";
import { send } from "./api.js";
import { ask, attempt, copy, say } from "./dialog.js";
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

// Today's and this month's use against the limits of days and months.
function today(key) {
  const used = key.today ?? {};
  const bar = (name, value, most) => most != null && h("progress", { class: "up", max: most || 1, value: Math.min(value, most), "aria-label": limit(name, most) });
  return [t("todayUse", { requests: number(used.requests), tokens: short(used.tokens) }),
    bar("requests_per_day", used.requests ?? 0, key.limits?.requests_per_day), bar("tokens_per_day", used.tokens ?? 0, key.limits?.tokens_per_day),
    bar("tokens_per_month", key.month?.tokens ?? 0, key.limits?.tokens_per_month), bar("dollars_per_day", used.cost_usd ?? 0, key.limits?.dollars_per_day),
    bar("dollars_per_month", key.month?.cost_usd ?? 0, key.limits?.dollars_per_month)];
}

function condition(key) {
  const used = { requests_per_day: key.today?.requests, tokens_per_day: key.today?.tokens, tokens_per_month: key.month?.tokens, dollars_per_day: key.today?.cost_usd, dollars_per_month: key.month?.cost_usd };
  if (key.disabled) return "off";
  if (key.limits?.expires_at && Date.parse(key.limits.expires_at) <= Date.now()) return "bad";
  return Object.entries(used).some(([name, amount]) => key.limits?.[name] != null && (amount ?? 0) >= key.limits[name]) ? "warn" : "good";
}

function row(key) {
  const state = condition(key);
  return [
    [h("b", { class: "name", title: labelOf(key) }, h("span", { class: `dot ${state}`, "aria-hidden": "true" }), labelOf(key)), h("span", { class: `word ${state}` }, t(STATES[state])),
      h("code", { class: "note more" }, key.masked), h("span", { class: "note more figures" }, t("times", { n: number(key.today?.requests) })),
      h("span", { class: "note more" }, key.last_used ? ago(key.last_used) : t("never"))],
    [h("p", { class: "facts" }, h("code", null, key.masked), key.source === "config" && h("span", { class: "chip" }, "config.json"),
      h("span", null, h("span", { class: "note" }, `${t("lastUsed")} `), key.last_used ? ago(key.last_used) : t("never"))),
    h("p", null, h("span", { class: "note" }, `${t("limits")} `), limits(key)),
    h("p", null, h("span", { class: "note" }, `${t("today")} `), today(key)),
    key.source === "config" ? h("p", { class: "note" }, t("keyInConfig")) : h("div", { class: "actions" },
      button("limits", t("limitsButton"), { "aria-label": t("limitsOf", { name: labelOf(key) }) }),
      key.disabled ? button("enable", t("enable"), { "aria-label": t("enableOf", { name: labelOf(key) }) }) : button("disable", t("disable"), { "aria-label": t("disableOf", { name: labelOf(key) }) }),
      button("delete", t("delete"), { class: "danger", "aria-label": t("deleteTitle", { name: labelOf(key) }) }))],
  ];
}

export function drawKeys() {
  keyList.draw();
  render($("new-key"), fresh && h("div", { class: "card fresh" }, h("p", null, h("b", null, t("keyOnce"))),
    h("p", null, h("code", null, fresh), " ", button("copy", t("copy"), { class: "primary" }), " ", button("forget", t("dismiss"))),
    h("p", { class: "note" }, t("keyOnceNote"))));
}

export let keyList = null;

function fields(key) {
  const list = LIMITS.map((name) => ({ name, label: t(`field_${name}`), type: "number", step: name.startsWith("dollars") ? "any" : null, value: key?.limits?.[name] ?? "", hint: null }));
  list.push({ name: "expires_at", label: t("field_expires_at"), type: "date", value: (key?.limits?.expires_at ?? "").slice(0, 10) });
  list.push({ name: "models", label: t("field_models"), value: (key?.models ?? []).join(", "), hint: t("field_models_hint") });
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
  const change = (id, source, values, message) => attempt(source, async () => {
    await send("POST", `admin/keys/${encodeURIComponent(id)}`, values);
    say(message);
    await refresh();
  });
  $("key-add").addEventListener("click", async (event) => {
    const source = event.currentTarget;
    const answer = await ask({ title: t("keyAddTitle"), text: t("keyAddText"), fields: [{ name: "name", label: t("name") }, ...fields()], confirm: t("keyAddConfirm") });
    if (!answer) return;
    await attempt(source, async () => {
      const wanted = Object.entries(body(answer)).filter(([, value]) => value !== null && value.length !== 0);
      const created = await send("POST", "admin/keys", { name: answer.name.trim(), ...Object.fromEntries(wanted) });
      fresh = created.key;
      made(fresh, answer.name.trim());
      await refresh();
      $("new-key").querySelector("button")?.focus();
    });
  });
  onAction($("new-key"), { copy: () => copy(fresh), forget: () => { fresh = null; render($("new-key")); } });
  onAction($("key-list"), {
    enable: (id, source) => change(id, source, { disabled: false }, t("enabled")),
    disable: (id, source) => change(id, source, { disabled: true }, t("disabled")),
    async limits(id, source) {
      const key = keyList.find(id);
      const answer = await ask({ title: t("limitsOf", { name: labelOf(key) }), text: t("limitsText"), fields: fields(key), confirm: t("save") });
      if (answer) await change(id, source, body(answer), t("saved"));
    },
    async delete(id, source) {
      const key = keyList.find(id);
      if (!await ask({ title: t("deleteTitle", { name: labelOf(key) }), text: t("keyDeleteText"), word: labelOf(key), confirm: t("delete"), danger: true })) return;
      await attempt(source, async () => { await send("DELETE", `admin/keys/${encodeURIComponent(id)}`); say(t("deleted")); await refresh(); });
    },
  });
}
