// Small conversations with the reader: questions in the one dialog of the page, passing notes, the clipboard.
import { $, h } from "./dom.js";
import { t } from "./text.js";

// Asks for the `fields` ({ name, label, type?, value?, hint? }) or for a typed confirmation of `word`. `act` gets an object of
// strings; if it fails, the dialog says why and keeps what was typed.
export function ask({ title, text, fields = [], word, confirm, danger, act }) {
  const dialog = $("dialog");
  const all = word ? [...fields, { name: "word", label: t("typeToConfirm", { word }) }] : fields;
  const inputs = all.map((field) => h("label", null, h("span", null, field.label),
    h("input", { name: field.name, type: field.type ?? "text", value: field.value, min: field.type === "number" ? "0" : null, step: field.step,
      autocomplete: "off", spellcheck: "false" }),
    field.hint && h("small", { class: "note" }, field.hint)));
  const go = h("button", { class: danger ? "primary danger" : "primary", disabled: Boolean(word) }, confirm);
  const wrong = h("p", { class: "bad", role: "alert" });
  const form = h("form", null,
    h("h2", { id: "dialog-title" }, title), text && h("p", null, text), inputs, wrong,
    h("div", { class: "actions" }, h("button", { type: "button", class: "cancel" }, t("cancel")), go));
  form.querySelector(".cancel").addEventListener("click", () => dialog.close());
  if (word) form.addEventListener("input", () => { go.disabled = form.elements.word.value.trim() !== word; });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      await act(Object.fromEntries(new FormData(form)));
      // By now it may be another one's.
      if (form.isConnected) dialog.close();
    } catch (failure) {
      go.disabled = false;
      // Who has left it already hears of it all the same.
      if (dialog.open && form.isConnected) wrong.textContent = why(failure);
      else say(why(failure), true);
    }
  });
  dialog.replaceChildren(form);
  dialog.showModal();
  (form.querySelector("input") ?? go).focus();
}

const why = (failure) => (failure.status === 0 ? t("gone") : failure.message);

// A passing note. Failures stay longer.
export function say(text, failed = false) {
  const note = h("p", { class: failed ? "toast bad" : "toast" }, text);
  $("toasts").append(note);
  setTimeout(() => note.remove(), failed ? 10_000 : 4_000);
}

// Runs a change with its button off; says what went wrong.
export async function attempt(source, act) {
  if (source) source.disabled = true;
  try {
    return await act();
  } catch (failure) {
    say(why(failure), true);
    return undefined;
  } finally {
    if (source) source.disabled = false;
  }
}

// A change that is told of when it is done.
export async function change(act, message, refresh) {
  await act();
  say(message);
  refresh();
}

// Copies a text; on plain http elsewhere than localhost browsers offer no clipboard, then the reader's own copy is asked for.
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say(t("copied"));
  } catch {
    window.prompt(t("copyByHand"), text);
  }
}
