// What both pages have: the choices of language and theme, and rounds that pause while nobody looks.
import { $, h } from "./dom.js";
import { chooseLanguage, tick } from "./text.js";

const ACTS = { theme: (theme) => { document.documentElement.dataset.theme = theme; }, language: chooseLanguage };

function choice(name, ...options) {
  const select = h("select", { id: name }, h("option", { value: "auto", "data-t": `${name}Auto` }), options);
  select.value = localStorage.getItem(name) ?? "auto";
  if (!select.value) select.value = "auto";
  return h("label", null, h("span", { class: "hidden", "data-t": name }), select);
}

// Begins with the choices that were made before; `draw` draws the page anew after another one.
export function startChoices(draw) {
  document.querySelector(".choices").append(
    choice("language", h("option", { value: "en", lang: "en" }, "English"), h("option", { value: "zh", lang: "zh" }, "中文")),
    choice("theme", ["light", "dark"].map((value) => h("option", { value, "data-t": value }))));
  for (const [name, act] of Object.entries(ACTS)) {
    $(name).addEventListener("change", ({ target }) => {
      localStorage.setItem(name, target.value);
      act(target.value);
      draw();
    });
    act($(name).value);
  }
}

let end = () => {};
let pressed = null;

addEventListener("pointerdown", () => {
  end();
  // Some browsers do not tell where it ended: so long at most.
  pressed = new Promise((ended) => { end = ended; setTimeout(ended, 10_000); });
});
// The click comes behind it.
for (const over of ["pointerup", "pointercancel"]) addEventListener(over, () => setTimeout(end));

// Resolves when nothing is pressed: what is moved from under the pointer gets no click.
export const released = () => pressed;

// Calls `poll` when somebody looks again, and when a count-down has ended; `pause` when the page is shown or hidden.
export function startRounds(pause, poll) {
  document.addEventListener("visibilitychange", () => {
    pause();
    if (!document.hidden) poll();
  });
  setInterval(() => { if (!document.hidden && tick()) poll(); }, 1000);
}
