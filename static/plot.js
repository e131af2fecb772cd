// Plots as inline SVG. Bars stretch with the page; words stay outside of the drawing so that they do not.
import { h, note, remark, svg, table } from "./dom.js";
import { t, short, milliseconds } from "./text.js";

const HEIGHT = 100;

// What all plots are in: a card with a title and something beside it.
export const figure = (id, title, aside, ...children) =>
  h("figure", { class: "card plot", "data-key": id }, h("figcaption", null, h("h3", null, title), aside), children);

// One drawing between what it is of and its figures.
export const line = (name, drawing, figures) => h("dd", null, note(name), drawing, h("span", { class: "figures" }, figures));

// A drawing that stretches; without words it is hidden from readers who cannot see it.
const stretched = (name, width, height, words, ...parts) => svg("svg", { class: name, viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none",
  ...(words ? { role: "img", "aria-label": words } : { "aria-hidden": "true" }) }, parts);

// Stacked bars over time. `buckets` come in order; `series` are { name, color, value(bucket) }; `label(bucket)` names a
// bucket. Pointing at a bar shows its numbers, a table below has all of them for readers who cannot point.
export function bars({ id, title, buckets, series, label }) {
  const sums = buckets.map((bucket) => series.reduce((sum, s) => sum + s.value(bucket), 0));
  const top = Math.max(1, ...sums);
  const all = `${t("sum")} ${short(sums.reduce((a, b) => a + b, 0))}`;
  const slots = buckets.map((bucket, x) => {
    let y = HEIGHT;
    const parts = series.map((s) => {
      const height = (s.value(bucket) / top) * HEIGHT;
      y -= height;
      return height > 0 && svg("rect", { class: s.color, x: x + 0.12, y: y.toFixed(2), width: 0.76, height: height.toFixed(2) });
    });
    const words = `${label(bucket)} · ${series.map((s) => `${s.name} ${short(s.value(bucket))}`).join(" · ")}`;
    return svg("g", { class: "slot", "data-words": words }, svg("rect", { class: "hit", x, y: 0, width: 1, height: HEIGHT }), parts);
  });
  const at = [0, Math.floor(buckets.length / 2), buckets.length - 1].map((i) => buckets[i] && h("span", null, label(buckets[i])));
  return figure(id, title, h("span", { class: "readout", "data-total": all }, all),
    h("div", { class: "canvas" }, h("span", { class: "top note" }, short(top)),
      stretched("bars", Math.max(1, buckets.length), HEIGHT, `${title}: ${all}, ${t("most")} ${short(top)}`, slots)),
    h("div", { class: "axis note", "aria-hidden": "true" }, at),
    h("p", { class: "legend note" }, series.map((s) => h("span", null, stretched("swatch", 1, 1, "", svg("rect", { class: s.color, width: 1, height: 1 })), s.name))),
    h("details", { class: "data" }, h("summary", null, t("numbers")),
      table(title, [{ label: t("time") }, ...series.map((s) => ({ label: s.name, number: true }))],
        buckets.filter((_, i) => sums[i] > 0).map((bucket) => [label(bucket), ...series.map((s) => s.value(bucket))]))));
}

// Shows the numbers of the bar under the pointer in the plot's caption.
export function followPointer(root) {
  const readout = (event) => event.target.closest(".plot")?.querySelector(".readout");
  root.addEventListener("pointerover", (event) => {
    const slot = event.target.closest(".slot");
    const place = readout(event);
    if (place) place.textContent = slot ? slot.dataset.words : place.dataset.total;
  });
  root.addEventListener("pointerleave", () => {
    for (const place of root.querySelectorAll(".readout")) place.textContent = place.dataset.total;
  });
}

// A tiny plot without words, for tiles.
export function sparkline(values, words) {
  const top = Math.max(1, ...values);
  return stretched("spark", Math.max(1, values.length), 24, words,
    values.map((value, x) => value > 0 && svg("rect", { class: "c-main", x: x + 0.1, y: (24 - (value / top) * 24).toFixed(2), width: 0.8, height: ((value / top) * 24).toFixed(2) })));
}

// A bar for a share of a whole, inside a table cell.
export const share = (part, whole) =>
  stretched("share", 100, 6, "",
    svg("rect", { class: "c-track", width: 100, height: 6 }), svg("rect", { class: "c-main", width: whole > 0 ? ((part / whole) * 100).toFixed(1) : 0, height: 6 }));

// From the median to the 95th percentile on one scale for all rows.
export function spans({ id, title, rows }) {
  const top = Math.max(1, ...rows.flatMap((row) => row.spans.map((span) => span.p95 ?? 0)));
  const x = (value) => ((value ?? 0) / top) * 100;
  const drawing = (span) => stretched("span", 100, 8, "",
    svg("rect", { class: "c-track", y: 3, width: 100, height: 2 }),
    svg("rect", { class: span.color, x: x(span.p50).toFixed(1), y: 1, width: Math.max(0.8, x(span.p95) - x(span.p50)).toFixed(1), height: 6 }));
  return figure(id, title, note(t("p50p95")),
    h("dl", { class: "spans" }, rows.map((row) => [h("dt", { "data-key": row.name }, row.name), row.spans.map((span) => line(span.name, drawing(span), `${milliseconds(span.p50)} – ${milliseconds(span.p95)}`))])),
    rows.length === 0 && remark(t("nothingYet")));
}
