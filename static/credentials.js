// The pool: what each credential is, how it is and why, and what can be done about it.
import { $, button, chip, fact, h, link, more, named, note, onAction, remark } from "./dom.js";
import { ago, countdown, number, rest, t, told, when } from "./text.js";
import { get, send } from "./api.js";
import { ask, attempt, change, say } from "./dialog.js";
import { list } from "./list.js";

const STATES = { bad: "stateError", warn: "chipResting", good: "stateReady", off: "stateDisabled" };
const quotas = new Map();
let today = new Map();

const known = (text) => (text && text !== "None" && text !== "N/A" ? text : null);
const titleOf = (c) => c.label || known(c.email) || c.id;

// How it is, in words and a colour.
function condition(c) {
  const whole = c.exhausted_until;
  if (c.disabled) return ["off", t("stateDisabled")];
  if (c.status === "refreshing") return ["info", t("stateRefreshing")];
  if (c.status === "error") return ["bad", t("stateError")];
  if (!c.is_available && whole) return ["warn", t("stateResting"), " ", countdown(whole)];
  if (c.status === "expired") return ["info", t("stateExpired")];
  if (!c.is_available) return ["bad", t("stateUnavailable")];
  if ((c.models ?? []).length > 0) return ["warn", t("statePartly")];
  return ["good", t("stateReady")];
}

function reason(c) {
  if (!c.failure_reason || c.status === "active") return null;
  return h("p", { class: "reason" }, told(c.told, c.failure_reason), " ", link(c.link, t("whatToDo")));
}

function quota(c) {
  const known = quotas.get(c.id);
  if (!known) return null;
  if (known.failure) return h("p", { class: "reason" }, t("quotaNone", { why: known.failure }));
  return h("div", { class: "quota" }, remark(t("quotaAt", { time: when(known.fetched_at) })),
    h("dl", null, known.buckets.map((bucket) => {
      const left = Math.max(0, Math.min(1, bucket.remaining_fraction ?? 0));
      return [h("dt", { "data-key": bucket.model }, bucket.model), h("dd", null,
        h("progress", { max: 1, value: left, class: left < 0.1 ? "low" : null, "aria-label": t("quotaLeft", { model: bucket.model }) }),
        h("span", { class: "figures" }, `${Math.round(left * 100)}%`),
        bucket.reset_time && note(t("quotaReset"), " ", countdown(bucket.reset_time)))];
    })));
}

// What a location said last of a model, if that was a refusal.
function place(l) {
  return l.model ? `${l.location} (${l.status} ${l.model})` : l.location;
}

const kindOf = (c) => (c.kind === "api_key" ? t("kindKey") : c.kind === "vertex" ? "Vertex AI" : t("kindGoogle"));

// The line that is always there, what unfolds, and why it needs a person.
function row(c) {
  const [kind, ...words] = condition(c);
  const [isKey, isVertex] = [c.kind === "api_key", c.kind === "vertex"];
  const used = today.get(c.id);
  const changeable = c.source !== "config";
  return [
    [named(titleOf(c), kind, ...words),
      more(kindOf(c)), more(t("times", { n: number(c.usage_count) }), "figures"),
      more(c.usage_count > 0 ? ago(c.last_used_at) : t("never"))],
    [h("p", { class: "facts" }, chip(kindOf(c)),
      c.source === "config" && chip("config.json"), c.tier && chip(c.tier),
      fact(t("id"), c.id), c.label && fact(t("account"), known(c.email)), fact(t("project"), known(c.project_id)),
      isVertex && fact(t("locations"), (c.locations ?? []).map(place).join(", ")),
      fact(t("used"), number(c.usage_count)), c.usage_count > 0 && fact(t("lastUsed"), ago(c.last_used_at)),
      used && fact(t("today"), t("okFailed", { ok: number(used.requests - used.failed), failed: number(used.failed) })),
      !isKey && known(c.expiry) && fact(t("tokenUntil"), when(c.expiry.replace(" UTC", "Z").replace(" ", "T")))),
    (c.models ?? []).length > 0 && h("ul", { class: "resting" }, c.models.map((model) => rest(model.model, model.model, model.cooling_until, model))),
    quota(c),
    h("div", { class: "actions" },
      button("check", t("check")), !isKey && button("refresh", t("refresh")), !isKey && !isVertex && button("quota", t("quota")),
      (c.exhausted_until || (c.models ?? []).length > 0 || c.status === "error") && button("reset", t(c.status === "error" ? "resetError" : "resetCooling")),
      c.disabled ? button("enable", t("enable")) : button("disable", t("disable")),
      changeable && button("edit", t("edit")), changeable && button("delete", t("delete"), { class: "danger" }))],
    reason(c),
  ];
}

export function drawCredentials({ stats }) {
  today = new Map(stats?.range === "24h" ? stats.credentials.map((used) => [used.credential, used]) : []);
  pool.draw();
}

export let pool = null;

const path = (id, word) => `admin/credentials/${encodeURIComponent(id)}${word ? `/${word}` : ""}`;

// `refresh` polls again after a change.
export function startCredentials({ refresh }) {
  pool = list({ id: "pool", path: "admin/credentials", items: "credentials", states: STATES, actions: ["enable", "disable", "reset", "check", "delete"], row, nameOf: titleOf, refresh });
  const find = pool.find;
  const run = (word, message) => (id, source) => attempt(source, async () => {
    const answer = await send("POST", path(id, word));
    const details = answer?.check_details;
    if (details) say(details.is_healthy ? t("checkGood") : t("checkBad", { why: told(details.told, details.reason ?? "") }), !details.is_healthy);
    else say(t(message));
    await refresh();
  });
  onAction($("pool"), {
    check: run("check", "checkGood"),
    refresh: run("refresh", "refreshed"),
    reset: run("reset", "wasReset"),
    enable: run("enable", "enabled"),
    disable: run("disable", "disabled"),
    quota: (id, source) => attempt(source, async () => {
      try {
        quotas.set(id, await get(path(id, "quota")));
      } catch (failure) {
        quotas.set(id, { failure: failure.message });
      }
      await refresh();
    }),
    edit(id) {
      const c = find(id);
      const fields = [{ name: "label", label: t("label"), value: c.label ?? "" }];
      if (c.kind !== "api_key") fields.push({ name: "project_id", label: t("project"), hint: t("projectHint", { now: known(c.project_id) ?? "–" }) });
      ask({ title: t("editTitle", { name: titleOf(c) }), fields, confirm: t("save"), act({ label, project_id }) {
        const body = { label };
        if (project_id) body.project_id = project_id;
        return change(() => send("POST", path(id), body), t("saved"), refresh);
      } });
    },
    delete(id) {
      const c = find(id);
      ask({ title: t("deleteTitle", { name: titleOf(c) }), text: t("deleteText"), word: id, confirm: t("delete"), danger: true,
        act: () => change(() => send("DELETE", path(id)), t("deleted"), refresh) });
    },
  });
}
