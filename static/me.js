// The page of who holds a client key: own use, what is left, what to paste into programs. The key is kept in this tab's
// session and goes nowhere but into the header of requests to this server.
import { $, h, onSubmit, remark, render, table } from "./dom.js";
import { countdown, money, number, setServerTime, short, t, when } from "./text.js";
import { Failure, askAsClient } from "./api.js";
import { drawClients, offerKey, startClients } from "./clients.js";
import { startChoices, startRounds } from "./frame.js";

const KEPT = "client-key";
const PERIOD = 30_000;
const MODELS = 12;
let shown = null;
let timer = 0;

const isMoney = (name) => name.startsWith("dollars");
const amount = (name, value) => (isMoney(name) ? money(value) : number(value));
const use = (used) => [number(used.requests), short(used.tokens), money(used.cost_usd)];

const columns = (label) => [{ label }, ...["requests", "tokens", "cost"].map((name) => ({ label: t(name), number: true }))];

function sums({ today, month, refused }) {
  return h("div", { class: "card" }, table(t("meTitle"), columns(""), [[t("today"), ...use(today)], [t("meMonth"), ...use(month)]]),
    refused > 0 && remark(t("meRefused", { n: number(refused) })));
}

function left(me) {
  const set = ["requests_per_minute", "concurrency"].filter((name) => me.limits[name] != null);
  const rest = [
    me.expires_at && [t("field_expires_at"), t("expires", { time: when(me.expires_at) })],
    ...set.map((name) => [t(`field_${name}`), number(me.limits[name])]),
    [t("models"), me.allowed.length > 0 ? me.allowed.join(", ") : t("meAllModels")],
  ].filter(Boolean);
  return [me.allowances.map((a) => h("div", { class: "allowance", "data-key": a.limit_name },
      h("p", null, h("b", null, t(`field_${a.limit_name}`)), " ", t("meLeft", { left: amount(a.limit_name, a.left), limit: amount(a.limit_name, a.limit) })),
      h("progress", { class: a.left > a.limit / 5 ? "up" : "up low", max: a.limit || 1, value: Math.min(a.used, a.limit) || 0, "aria-label": t("meUsed", { name: t(`field_${a.limit_name}`) }) }),
      remark(t("meEnds"), " ", countdown(a.ends)))),
    me.allowances.length === 0 && h("p", null, t("meNoLimits")),
    h("dl", { class: "settings" }, rest.map(([name, value]) => [h("dt", null, name), h("dd", null, value)]))];
}

function tables({ by_model: models, days }) {
  if (models.length === 0) return h("p", { class: "card note" }, t("meNothing"));
  const card = (title, label, rows) => h("div", { class: "card" }, h("h3", null, title), table(title, columns(label), rows));
  return [card(t("byModel"), t("model"), models.map((m) => [m.model || "–", ...use(m)])),
    card(t("meByDay"), t("meDay"), days.map((d) => [d.day, ...use(d)]))];
}

function draw() {
  document.title = t("meTitle");
  if (!shown) return;
  $("key-title").textContent = shown.name;
  render($("sums"), sums(shown));
  render($("left"), left(shown));
  render($("use"), tables(shown));
  drawClients({ status: { address: new URL(location.pathname.replace(/\/me\/*$/, "/"), location.origin).href }, stats: { models: shown.models.slice(0, MODELS).map((model) => ({ model })) } });
}

// What the server says of the key; throws its sentence.
async function ask(key) {
  try {
    return await (await askAsClient("me/status", key, { signal: AbortSignal.timeout(15_000) })).json();
  } catch (failure) {
    throw new Failure(failure.status, failure.status === 401 ? t("meWrongKey") : failure.status ? failure.message : t("gone"));
  }
}

// Takes what the server said.
function take(me) {
  shown = me;
  setServerTime(me.now);
}

// What is shown with a key, and what without.
function turn(isOpen) {
  for (const [id, hidden] of [["door", isOpen], ["mine", !isOpen], ["leave", !isOpen]]) $(id).hidden = hidden;
}

function close(sentenceOfFailure = "") {
  sessionStorage.removeItem(KEPT);
  clearTimeout(timer);
  shown = null;
  turn(false);
  $("client-key").value = "";
  for (const id of ["snippet", "known-keys", "sums", "left", "use", "try-answer"]) render($(id));
  $("door-failure").textContent = sentenceOfFailure;
}

async function refresh(key) {
  clearTimeout(timer);
  try {
    const me = await ask(key);
    if (sessionStorage.getItem(KEPT) !== key) return;
    take(me);
    $("failure").textContent = "";
    draw();
  } catch (failure) {
    if (failure.status === 401) return close(failure.message);
    $("failure").textContent = failure.message;
  }
  if (!document.hidden) timer = setTimeout(() => refresh(key), PERIOD);
}

async function open(key) {
  const me = await ask(key);
  sessionStorage.setItem(KEPT, key);
  take(me);
  // Settings with a model that the key may not use would only be refused.
  if (me.allowed.length > 0) $("client-model").value = me.models[0] ?? "";
  offerKey(key, me.name);
  $("door-failure").textContent = "";
  turn(true);
  draw();
  timer = setTimeout(() => refresh(key), PERIOD);
}

startClients();
for (const asking of document.querySelectorAll(".asks")) asking.hidden = true;
startChoices(draw);
draw();
onSubmit("form-door", async ({ key: field }) => {
  await open(field.value.trim()).then(() => { field.value = ""; $("key-title").focus(); }, (failure) => { $("door-failure").textContent = failure.message; field.focus(); });
});
// A page that is loaded anew holds nothing of the key.
$("leave").addEventListener("click", () => { close(); location.reload(); });
const kept = () => sessionStorage.getItem(KEPT);
startRounds(() => clearTimeout(timer), () => { if (kept()) refresh(kept()); });
if (kept()) open(kept()).catch((failure) => close(failure.message));
