// Makes and updates elements. The only file that does: everything is set as text or attribute, never parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

// An HTML element; children are nodes, texts, lists of them, or nothing.
export const h = (tag, attributes, ...children) => build(document.createElement(tag), attributes, children);

// A remark beside something, and one in a line of its own.
export const note = (...children) => h("span", { class: "note" }, children);
export const remark = (...children) => h("p", { class: "note" }, children);

// What a line has besides, where there is room.
export const more = (words, kind = "") => h("span", { class: `note more ${kind}` }, words);

export const chip = (words) => h("span", { class: "chip" }, words);

// What is known of something, if it is.
export const fact = (name, value) => (value || value === 0 ? h("span", null, note(`${name} `), value) : null);

// What a line of a list begins with: a name, and a state in colour and words.
export const named = (name, kind, ...words) => [
  h("b", { class: "name", title: name }, h("span", { class: `dot ${kind}`, "aria-hidden": "true" }), name),
  h("span", { class: `word ${kind}` }, words)];

export const svg = (tag, attributes, ...children) => build(document.createElementNS(SVG, tag), attributes, children);

// A button answered by `onAction`.
export const button = (action, label, attributes) => h("button", { type: "button", "data-do": action, ...attributes }, label);

// A link to elsewhere; anything but http(s) becomes plain text.
export function link(url, label) {
  if (!/^https?:\/\//i.test(url ?? "")) return null;
  return h("a", { href: url, target: "_blank", rel: "noreferrer" }, label);
}

// Calls `actions[data-do]` for clicks below `root`, so that updated rows need no listeners of their own.
export function onAction(root, actions) {
  root.addEventListener("click", (event) => {
    const source = event.target.closest("[data-do]");
    const action = source && actions[source.dataset.do];
    if (action) action(source.closest("[data-id]")?.dataset.id, source);
  });
}

// A form that asks for one text: `name` is the word for it, and of what stands in it first; `act` is the word of its button.
export const asks = (id, name, act, kind, ...more) => h("form", { id },
  h("label", null, h("span", { class: kind, "data-t": name }), h("input", { name: "text", required: true, "data-t-value": `${name}Text` })),
  h("button", { class: "primary", "data-t": act }), more);

// Calls `act` with the fields of a form, and the form, instead of sending it.
export function onSubmit(id, act) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act(event.target.elements, event.target);
  });
}

// Makes the children of `parent` look like `children`, keeping elements that stay: focus, selection, scroll positions and
// opened details survive a poll.
export function render(parent, ...children) {
  const wanted = build(document.createDocumentFragment(), null, children);
  morph(parent, [...wanted.childNodes]);
}

const key = (node) => node.dataset?.key ?? node.id ?? "";
const alike = (a, b) => a.nodeName === b.nodeName && key(a) === key(b);

function morph(parent, wanted) {
  let at = parent.firstChild;
  for (const next of wanted) {
    let match = at;
    if (!match || !alike(match, next)) {
      match = key(next) ? [...parent.childNodes].find((node) => alike(node, next)) : null;
    }
    if (!match) {
      parent.insertBefore(next, at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else parent.insertBefore(match, at);
    update(match, next);
  }
  while (at) {
    const rest = at.nextSibling;
    at.remove();
    at = rest;
  }
}

function update(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  morph(old, [...next.childNodes]);
}

// A table that scrolls by itself on narrow screens, or turns its rows into cards there. `columns` are { label, number? };
// `rows` are lists of cells, with a `key` where what is unfolded in them has to stay.
export function table(caption, columns, rows, { cards } = {}) {
  const line = (row) => h("tr", { "data-key": row.key }, row.map((cell, i) =>
    i === 0 ? h("th", { scope: "row" }, cell) : h("td", { class: columns[i].number ? "number" : null, "data-label": columns[i].label }, cell)));
  return h("div", { class: cards ? "wide cards" : "wide", role: "group", tabindex: "0", "aria-label": caption },
    h("table", null, h("caption", { class: "hidden" }, caption),
      h("thead", null, h("tr", null, columns.map((c) => h("th", { scope: "col", class: c.number ? "number" : null }, c.label)))),
      h("tbody", null, rows.map(line))));
}
