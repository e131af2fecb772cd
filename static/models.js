// The models that there are: names, aliases, routes, and who serves them now. Asked for while somebody looks.
import { $, chip, fact, h, more, named, render } from "./dom.js";
import { number, rest, short, t } from "./text.js";
import { get } from "./api.js";

let answer = null;

export async function loadModels() {
  if ($("model-details").open) answer = await get("admin/models");
}

function row(model) {
  const { able, now, away, resting } = model.credentials;
  const kind = now > 0 ? (away > 0 ? "warn" : "good") : "bad";
  return h("li", { class: "row model", "data-key": model.name }, h("details", null,
    h("summary", null, named(model.name, kind, t("servedBy", { n: number(now), all: number(able) })),
      more(t(`kind_${model.kind}`)), more(model.alias_of ? `→ ${model.alias_of}` : model.served_by ? `= ${model.served_by}` : "")),
    h("p", { class: "facts" }, model.display_name !== model.name && h("span", null, model.display_name), model.alias_of && chip("config.json"),
      !model.listed && chip(t("notListed")), fact(t("aliasOf"), model.alias_of), fact(t("servedAs"), model.served_by),
      fact(t("prompt"), model.input_token_limit && short(model.input_token_limit)), fact(t("answer"), model.output_token_limit && short(model.output_token_limit))),
    resting.length > 0 && h("ul", { class: "resting" }, resting.map((one) => rest(one.credential, one.label || one.credential, one.until, one)),
    away > resting.length && h("li", null, t("andMore", { n: number(away - resting.length) })))));
}

export function drawModels() {
  if (!answer) return;
  render($("model-list"),
    answer.routes.length > 0 && h("dl", { class: "card routes" }, answer.routes.map((route) => [h("dt", null, h("code", null, route.pattern)), h("dd", null, route.models.map((model) => ["→ ", h("code", null, model), " "]))])),
    h("ul", { class: "rows card" }, answer.models.map(row)));
}

export function startModels() {
  $("model-details").addEventListener("toggle", () => loadModels().then(drawModels, () => {}));
}
