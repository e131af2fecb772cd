// Words, numbers and times in the reader's language. Knows the dictionaries, and what the server says with codes.
import en from "./en.js";
import zh from "./zh.js";
import messages from "./messages.js";
import { h, note } from "./dom.js";

const dictionaries = { en, zh };
let language = "en";
let skew = 0;

// The words of a part of the page that not every program has.
export function learn(words) {
  for (const [name, more] of Object.entries(words)) Object.assign(dictionaries[name], more);
}

export const languageNow = () => language;

// "auto" follows the browser.
export function chooseLanguage(choice) {
  const browser = navigator.languages.map((name) => name.slice(0, 2)).find((name) => name in dictionaries);
  language = choice in dictionaries ? choice : (browser ?? "en");
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const [data, attribute] of [["tLabel", "aria-label"], ["tPlaceholder", "placeholder"], ["tValue", "value"]]) {
    const name = data.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`);
    for (const element of document.querySelectorAll(`[data-${name}]`)) element.setAttribute(attribute, t(element.dataset[data]));
  }
}

// The sentence `name` with {words} filled in.
export function t(name, words = {}) {
  const sentence = dictionaries[language][name] ?? en[name] ?? name;
  return sentence.replace(/\{(\w+)\}/g, (whole, word) => words[word] ?? whole);
}

export const has = (name) => name in en;

// What the server says as { code, params }; `plain` is the same in English, for a code of another version.
export function told(message, plain = "") {
  const sentence = messages[message?.code]?.[language === "zh" ? 1 : 0];
  if (!sentence) return plain;
  return sentence.replace(/\{(\w+)\}/g, (_, name) => {
    const value = message.params?.[name] ?? "";
    return typeof value === "object" ? told(value) : /^\d{4}(-\d\d){2}T[\d:.]+Z$/.test(value) ? when(value) : value;
  });
}

const locale = () => (language === "zh" ? "zh-CN" : "en");

export const number = (value) => new Intl.NumberFormat(locale()).format(value ?? 0);

// 12345 as 12.3K.
export const short = (value) =>
  new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: (value ?? 0) < 10 ? 0 : 1 }).format(value ?? 0);

// Dollars, with the digits that small sums need.
export const money = (value) => (value == null ? "–" : new Intl.NumberFormat(locale(), { style: "currency", currency: "USD", maximumSignificantDigits: value < 1 ? 3 : 6 }).format(value));

export const percent = (part, whole) =>
  whole > 0 ? `${(Math.floor((part / whole) * 1000) / 10).toFixed(part === whole ? 0 : 1)}%` : "–";

export const milliseconds = (value) => {
  if (value === null || value === undefined) return "–";
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(value < 10000 ? 2 : 1)} s`;
};

export const bytes = (value) => `${(value / 1048576).toFixed(1)} MB`;

// The server's clock may differ from the browser's: all count-downs follow the server's.
export function setServerTime(iso) {
  skew = Date.parse(iso) - Date.now() || 0;
  return skew;
}

export const serverNow = () => Date.now() + skew;

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const [d, hours, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d) return t("durationDays", { d, h: hours });
  if (hours) return t("durationHours", { h: hours, m });
  if (m) return t("durationMinutes", { m, s: s % 60 });
  return t("durationSeconds", { s: s % 60 });
}

// A local date and time; without the date when it is today.
export function when(iso) {
  const time = new Date(iso);
  if (!iso || Number.isNaN(time.getTime())) return "–";
  const now = new Date();
  const today = time.toDateString() === now.toDateString();
  const year = time.getFullYear() === now.getFullYear() ? undefined : "numeric";
  const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return time.toLocaleString(locale(), today ? clock : { year, month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

// The same to the second, with the zone.
export const exactly = (iso) => new Date(iso).toLocaleString(locale(), { dateStyle: "long", timeStyle: "long" });

export function ago(iso) {
  const seconds = (serverNow() - Date.parse(iso)) / 1000;
  if (!iso || Number.isNaN(seconds)) return t("never");
  return seconds < 10 ? t("justNow") : t("ago", { time: duration(seconds) });
}

const left = (iso) => duration((Date.parse(iso) - serverNow()) / 1000);

// An element that counts down to `iso`; `tick` keeps it right.
export const countdown = (iso) => h("time", { class: "countdown", datetime: iso, "data-until": iso }, left(iso));

// Who rests until when, and why.
export const rest = (key, name, until, { refused, told: why, detail }) => h("li", { "data-key": key },
  h("b", null, name), " ", t(refused ? "refusedFor" : "restsFor"), " ", countdown(until), note(" · ", told(why, detail)));

// Updates every count-down once; says whether one of them has just ended.
export function tick() {
  let ended = false;
  for (const element of document.querySelectorAll("[data-until]")) {
    const text = left(element.dataset.until);
    if (element.textContent !== text) element.textContent = text;
    const past = serverNow() - Date.parse(element.dataset.until);
    ended ||= past >= 0 && past < 1000;
  }
  return ended;
}
