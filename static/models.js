// The models that there are: names, aliases, routes, and who serves them now. Asked for while somebody looks.
import { $, h, render } from "./dom.js";
import { countdown, number, short, t, told } from "./text.js";
import { get } from "./api.js";

let answer = null;

export async function loadModels() {
  if ($("models").open) answer = await get("admin/models");
}

function row(model) {
  const { able, now, away, resting } = model.credentials;
  const kind = now > 0 ? (away > 0 ? "warn" : "good") : "bad";
  const fact = (name, value) => value && h("span", null, h("span", { class: "note" }, `${name} `), value);
  return h("li", { class: "row model", "data-key": model.name }, h("details", null,
    h("summary", null, h("b", { class: "name", title: model.name }, h("span", { class: `dot ${kind}`, "aria-hidden": "true" }), model.name),
      h("span", { class: `word ${kind}` }, t("servedBy", { n: number(now), all: number(able) })),
      h("span", { class: "note more" }, t(`kind_${model.kind}`)), h("span", { class: "note more" }, model.alias_of ? `→ ${model.alias_of}` : model.served_by ? `= ${model.served_by}` : "")),
    h("p", { class: "facts" }, model.display_name !== model.name && h("span", null, model.display_name), model.alias_of && h("span", { class: "chip" }, "config.json"),
      !model.listed && h("span", { class: "chip" }, t("notListed")), fact(t("aliasOf"), model.alias_of), fact(t("servedAs"), model.served_by),
      fact(t("prompt"), model.input_token_limit && short(model.input_token_limit)), fact(t("answer"), model.output_token_limit && short(model.output_token_limit))),
    resting.length > 0 && h("ul", { class: "resting" }, resting.map((one) => h("li", { "data-key": one.credential },
      h("b", null, one.label || one.credential), " ", t(one.refused ? "refusedFor" : "restsFor"), " ", countdown(one.until), h("span", { class: "note" }, " · ", told(one.told, one.detail)))),
    away > resting.length && h("li", null, t("andMore", { n: number(away - resting.length) })))));
}

export function drawModels() {
  if (!answer) return;
  render($("model-list"),
    answer.routes.length > 0 && h("dl", { class: "card routes" }, answer.routes.map((route) => [h("dt", null, h("code", null, route.pattern)), h("dd", null, route.models.map((model) => ["→ ", h("code", null, model), " "]))])),
    h("ul", { class: "rows card" }, answer.models.map(row)));
}

export function startModels() {
  $("models").addEventListener("toggle", () => loadModels().then(drawModels, () => {}));
}
