// Client keys: who may call, with which limits, how much today. A new key is shown once.
import { $, button, h, onAction, render, table } from "./dom.js";
import { ago, number, short, t, when } from "./text.js";
import { send } from "./api.js";
import { ask, attempt, copy, say } from "./dialog.js";

const LIMITS = ["requests_per_minute", "requests_per_day", "tokens_per_day", "tokens_per_month", "dollars_per_day", "dollars_per_month", "concurrency"];
// Longer lists can be searched; more rows than this wait for a click.
const MANY = 8;
const ROWS = 20;
let shown = [];
let fresh = null;
let most = ROWS;
let redraw = () => {};

const labelOf = (key) => key.name || key.id;

function limits(key) {
  const set = LIMITS.filter((name) => key.limits?.[name] != null).map((name) => t(`limit_${name}`, { n: short(key.limits[name]) }));
  if (key.limits?.expires_at) set.push(t("expires", { time: when(key.limits.expires_at) }));
  if (key.models?.length > 0) set.push(key.models.join(", "));
  return set.length > 0 ? set.join(" · ") : t("noLimits");
}

// Today's and this month's use against the limits of days and months.
function today(key) {
  const used = key.today ?? {};
  const bar = (name, value, limit) => limit != null && h("progress", { class: "up", max: limit || 1, value: Math.min(value, limit), "aria-label": t(`limit_${name}`, { n: short(limit) }) });
  return [t("todayUse", { requests: number(used.requests), tokens: short(used.tokens) }),
    bar("requests_per_day", used.requests ?? 0, key.limits?.requests_per_day), bar("tokens_per_day", used.tokens ?? 0, key.limits?.tokens_per_day),
    bar("tokens_per_month", key.month?.tokens ?? 0, key.limits?.tokens_per_month), bar("dollars_per_day", used.cost_usd ?? 0, key.limits?.dollars_per_day),
    bar("dollars_per_month", key.month?.cost_usd ?? 0, key.limits?.dollars_per_month)];
}

export function drawKeys({ keys }) {
  if (!keys) return;
  shown = keys.keys;
  redraw = () => drawKeys({ keys });
  $("key-filter").hidden = shown.length <= MANY;
  const words = shown.length > MANY ? $("key-filter").value.toLowerCase().split(/\s+/).filter(Boolean) : [];
  const found = shown.filter((key) => words.every((word) => [key.name, key.masked, key.id, key.source, ...(key.models ?? [])].join(" ").toLowerCase().includes(word)));
  render($("new-key"), fresh && h("div", { class: "card fresh" }, h("p", null, h("b", null, t("keyOnce"))),
    h("p", null, h("code", null, fresh), " ", button("copy", t("copy"), { class: "primary" }), " ", button("forget", t("dismiss"))),
    h("p", { class: "note" }, t("keyOnceNote"))));
  if (shown.length === 0) return render($("key-list"), h("p", { class: "card note" }, t("noKeys")));
  const columns = [t("name"), t("key"), t("limits"), t("today"), t("lastUsed"), t("actions")].map((label) => ({ label }));
  render($("key-list"), h("div", { class: "card" }, table(t("keys"), columns, found.slice(0, most).map((key) => [
    [labelOf(key), key.disabled && h("span", { class: "chip" }, t("stateDisabled"))],
    h("code", null, key.masked), limits(key), today(key), key.last_used ? ago(key.last_used) : t("never"),
    key.source === "config" ? h("span", { class: "chip" }, "config.json") : h("div", { class: "actions", "data-id": key.id },
      button("limits", t("limitsButton"), { "aria-label": t("limitsOf", { name: labelOf(key) }) }),
      key.disabled ? button("enable", t("enable"), { "aria-label": t("enableOf", { name: labelOf(key) }) }) : button("disable", t("disable"), { "aria-label": t("disableOf", { name: labelOf(key) }) }),
      button("delete", t("delete"), { class: "danger", "aria-label": t("deleteTitle", { name: labelOf(key) }) })),
  ]), { cards: true }), found.length > most && button("more", t("showMore", { n: number(found.length - most) }))));
}

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
  $("key-filter").addEventListener("input", () => { most = ROWS; redraw(); });
  onAction($("key-list"), {
    more: () => { most += 4 * ROWS; redraw(); },
    enable: (id, source) => change(id, source, { disabled: false }, t("enabled")),
    disable: (id, source) => change(id, source, { disabled: true }, t("disabled")),
    async limits(id, source) {
      const key = shown.find((key) => key.id === id);
      const answer = await ask({ title: t("limitsOf", { name: labelOf(key) }), text: t("limitsText"), fields: fields(key), confirm: t("save") });
      if (answer) await change(id, source, body(answer), t("saved"));
    },
    async delete(id, source) {
      const key = shown.find((key) => key.id === id);
      if (!await ask({ title: t("deleteTitle", { name: labelOf(key) }), text: t("keyDeleteText"), word: labelOf(key), confirm: t("delete"), danger: true })) return;
      await attempt(source, async () => { await send("DELETE", `admin/keys/${encodeURIComponent(id)}`); say(t("deleted")); await refresh(); });
    },
  });
}
