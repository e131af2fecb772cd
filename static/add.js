// Adding credentials: API keys, Google sign-in here or from another machine, JSON pasted or dropped.
import { $, h, onSubmit, render } from "./dom.js";
import { number, t, told } from "./text.js";
import { send } from "./api.js";
import { attempt, say } from "./dialog.js";

let flow = null;

const SHOWN = 100;

function show(results) {
  const words = { added: t("resultAdded"), updated: t("resultUpdated"), refused: t("resultRefused") };
  const refused = results.filter((result) => result.status === "refused");
  const shown = results.length > SHOWN ? refused.slice(0, SHOWN) : results;
  render($("add-results"), shown !== results && h("li", null, t("bulkDone", { done: number(results.length - refused.length), failed: number(refused.length) })),
    shown.map((result) => h("li", { class: result.status === "refused" ? "bad" : "good" },
    h("b", null, result.label ?? ""), ` ${words[result.status] ?? result.status}`, result.detail && `: ${told(result.told, result.detail)}`)));
}

export function openAdd(kind) {
  $(kind).open = true;
  $("add").scrollIntoView({ block: "start" });
}

export function startAdd({ refresh, changed }) {
  const submit = (id, act) => onSubmit(id, ({ text }, form) =>
    attempt(form.querySelector("button.primary"), async () => { await act(text.value.trim(), form); await refresh(); }));
  const take = async (text, form) => {
    const { results } = await send("POST", "admin/credentials/import", { text });
    show(results);
    if (results.some((result) => result.status !== "refused")) form.reset();
  };
  submit("form-keys", take);
  submit("form-json", take);
  submit("form-paste", async (text, form) => {
    const answer = await send("POST", "admin/oauth/finish", { text, state: flow ?? undefined });
    show([{ label: answer.email, status: answer.message === "credential_updated" ? "updated" : "added" }]);
    form.reset();
    flow = null;
    $("paste-link").hidden = true;
  });
  $("paste-start").addEventListener("click", (event) => attempt(event.currentTarget, async () => {
    const answer = await send("POST", "admin/oauth/start", { mode: "paste" });
    flow = answer.state;
    $("paste-link").href = answer.url;
    $("paste-link").hidden = false;
    $("paste-link").focus();
  }));
  $("google-link").addEventListener("click", changed);

  const area = $("form-json").elements.text;
  const read = async (files) => {
    try {
      const texts = await Promise.all([...files].map((file) => file.text()));
      // Several files become one list, whatever each of them holds.
      area.value = texts.length === 1 ? texts[0] : JSON.stringify(texts.flatMap((text) => JSON.parse(text)), null, 2);
    } catch {
      say(t("notJson"), true);
    }
  };
  $("json-file").addEventListener("change", (event) => read(event.target.files));
  const drop = $("add");
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("drop"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("drop"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("drop");
    if (event.dataTransfer.files.length === 0) return;
    $("add-json").open = true;
    await read(event.dataTransfer.files);
  });
  if (new URLSearchParams(location.search).get("login") === "paste") openAdd("add-google");
}

// Google sends the browser back to this address only when it is this machine or the address the user configured.
export function drawAdd({ status, credentials }) {
  const local = /^(localhost|.*\.localhost|127\..*|\[::1\])$/.test(location.hostname);
  const configured = status?.config?.public_url?.value;
  if (status) $("google-here").hidden = !local && !configured;
  if (credentials?.total === 0 && !$("add").dataset.opened) {
    $("add").dataset.opened = "yes";
    if (!$("add").querySelector("details[open]")) $("add-key").open = true;
  }
}
