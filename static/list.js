// A long list of which the server finds, sorts and cuts what is looked for: the tools above it, its rows, the pages below it,
// and what is done to many rows at once.
import { $, button, h, note, onAction, render } from "./dom.js";
import { has, number, t, told } from "./text.js";
import { get, send } from "./api.js";
import { ask, attempt, say } from "./dialog.js";

const ROWS = 20;
// Shorter lists need no tools.
const FEW = 5;
const SORTS = ["", "name", "state", "-used", "-last_used", "expires"];

const wordOf = (action) => t(has(`bulk_${action}`) ? `bulk_${action}` : action);

// `id` names the element of the rows; with -tools, -report and -pages behind it, of what is made around them. `path` is where
// the server has the list, `items` its name in the answer. `states` are the words of the states, `actions` what can be done to
// many rows. `row` draws a row, `nameOf` says what it is called.
export function list({ id, path, items, states, actions, row, nameOf, empty, refresh }) {
  const beside = (part, attributes) => h("div", { id: `${id}-${part}`, ...attributes });
  $(id).before(beside("tools", { class: "tools" }), beside("report", { "aria-live": "polite" }));
  $(id).after(beside("pages", { class: "actions pages" }));
  const chosen = new Map();
  const view = { q: "", state: "", sort: "", skip: 0 };
  const self = { answer: null, load, draw, find: (key) => self.answer[items].find((item) => item.id === key) };
  let [asked, all, report] = [0, false, null];

  const filter = () => Object.entries({ q: view.q, state: view.state }).filter(([, value]) => value !== "");

  // What comes after a later question was asked is old and dropped.
  async function load() {
    const mine = ++asked;
    const query = new URLSearchParams([["limit", ROWS], ["skip", view.skip], ["sort", view.sort], ...filter()].filter(([, value]) => value));
    const answer = await get(`${path}?${query}`);
    if (mine !== asked) return;
    self.answer = answer;
    if (view.skip > 0 && view.skip >= answer.found) return look({ skip: Math.max(0, Math.ceil(answer.found / ROWS) - 1) * ROWS });
  }

  async function look(change) {
    if ("q" in change || "state" in change) [all, view.skip] = [false, 0];
    Object.assign(view, change);
    await attempt(null, load);
    draw();
  }

  function tools({ total, found, summary }) {
    if (total <= FEW) return null;
    const shown = self.answer[items];
    const whole = shown.length > 0 && shown.every((item) => chosen.has(item.id));
    const count = all ? found : chosen.size;
    return [h("div", { class: "actions" },
      h("input", { type: "checkbox", class: "all", "aria-label": t("selectPage"), checked: whole || all }),
      h("input", { type: "search", class: "q", "aria-label": t("filter"), placeholder: t(`filter_${items}`) }),
      h("label", { class: "check" }, h("span", null, t("sortBy")), h("select", { class: "sort" }, SORTS.map((sort) => h("option", { value: sort, selected: sort === view.sort }, t(`sort_${sort}`))))),
      h("div", { class: "actions", role: "group", "aria-label": t("status") }, Object.entries(states).filter(([state]) => summary.states[state])
        .map(([state, word]) => button("state", `${t(word)} ${number(summary.states[state])}`, { "data-key": state, "data-id": state, "aria-pressed": String(state === view.state) })))),
    count > 0 && h("div", { class: "actions bulk", "data-key": "bulk" }, h("b", null, t("selected", { n: number(count) })),
      !all && found > count && button("all", t("selectAll", { n: number(found) })),
      actions.map((action) => button("bulk", wordOf(action), { "data-id": action, class: action === "delete" ? "danger" : null })),
      button("none", t("selectNone")))];
  }

  function draw() {
    if (!self.answer) return;
    const { total, found } = self.answer;
    const shown = self.answer[items];
    const many = total > FEW;
    render($(`${id}-tools`), tools(self.answer));
    const box = $(`${id}-tools`).querySelector(".all");
    if (box) box.checked = box.hasAttribute("checked");
    render($(`${id}-report`), report && h("div", { class: "card fresh" }, h("p", null, h("b", null, t("bulkDone", { done: number(report.done), failed: number(report.failed) }))),
      h("ul", { class: "results" }, report.failures.map((one) => h("li", { class: "bad" }, h("b", null, one.name), `: ${told(one.told, one.detail)}`))),
      button("seen", t("dismiss"))));
    render($(id), shown.map((item) => {
      const [line, body, below] = row(item);
      return h("li", { class: "row", "data-key": item.id, "data-id": item.id },
        many && h("input", { type: "checkbox", class: "pick", "aria-label": t("select", { name: nameOf(item) }), checked: all || chosen.has(item.id) }),
        h("div", null, h("details", null, h("summary", null, line), body), below));
    }), shown.length === 0 && h("li", { class: "note", "data-key": "none" }, total > 0 ? t("noneMatches") : empty && t(empty)));
    for (const pick of $(id).querySelectorAll(".pick")) pick.checked = pick.hasAttribute("checked");
    $(id).hidden = shown.length === 0 && total === 0 && !empty;
    render($(`${id}-pages`), found > ROWS && [
      button("page", t("previous"), { "data-id": "-1", disabled: view.skip === 0 }),
      note(t("pageOf", { from: number(view.skip + 1), to: number(view.skip + shown.length), all: number(found) })),
      button("page", t("next"), { "data-id": "1", disabled: view.skip + shown.length >= found })]);
  }

  // Asks once more, then does it and says of which it did not work.
  function many(action) {
    const count = all ? self.answer.found : chosen.size;
    const names = [...chosen.values()];
    const n = number(count);
    const some = all ? t("bulkAll") : names.slice(0, 5).join(", ") + (names.length > 5 ? " …" : "");
    const danger = action === "delete";
    ask({ title: `${wordOf(action)} ${t("selected", { n })}`, text: some, word: danger ? String(count) : undefined, confirm: wordOf(action), danger, async act() {
      const query = new URLSearchParams(filter());
      query.set("limit", "1");
      report = await send("POST", all ? `${path}/bulk?${query}` : `${path}/bulk`, all ? { action, expect: count } : { action, ids: [...chosen.keys()] });
      if (report.failed === 0) { say(t("bulkWell", { n: number(report.done) })); report = null; }
      if (danger) forget();
      refresh();
    } });
  }

  function forget() {
    chosen.clear();
    all = false;
    draw();
  }

  function mark(item, checked) {
    if (checked) chosen.set(item.id, nameOf(item));
    else chosen.delete(item.id);
  }

  $(`${id}-tools`).addEventListener("input", ({ target }) => { if (target.className === "q") look({ q: target.value.trim() }); });
  $(`${id}-tools`).addEventListener("change", ({ target }) => {
    if (target.className === "sort") look({ sort: target.value, skip: 0 });
    if (target.className !== "all") return;
    if (all) return forget();
    for (const item of self.answer[items]) mark(item, target.checked);
    draw();
  });
  $(id).addEventListener("change", ({ target }) => {
    if (target.className !== "pick") return;
    all = false;
    mark(self.find(target.closest("[data-id]").dataset.id), target.checked);
    draw();
  });
  onAction($(`${id}-tools`), {
    state: (state) => look({ state: view.state === state ? "" : state }),
    all: () => { all = true; draw(); },
    none: forget,
    bulk: many,
  });
  onAction($(`${id}-report`), { seen: () => { report = null; draw(); } });
  onAction($(`${id}-pages`), { page: (step, source) => { look({ skip: Math.max(0, view.skip + Number(step) * ROWS) }); source.blur(); $(`${id}-tools`).scrollIntoView({ block: "nearest" }); } });
  return self;
}
