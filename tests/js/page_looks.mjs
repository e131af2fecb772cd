// Empty, small and large, at both widths, in both themes and languages.
import assert from "node:assert/strict";
import en from "../../static/en.js";
import messages from "../../static/messages.js";
import zh from "../../static/zh.js";
import { accessible, noSidewaysScroll, shot, visit } from "./browser.mjs";
import { empty, five, openEverything, sampled, thousand } from "./looks.mjs";

export const cases = {
  async "all twenty-four looks are whole and accessible"() {
    for (const [count, change] of Object.entries({ 0: empty, 5: five, 1000: thousand })) {
      for (const width of [1280, 360]) {
        for (const locale of ["en-US", "zh-CN"]) {
          const { context, page } = await sampled({ viewport: { width, height: 900 }, isMobile: width < 500, hasTouch: width < 500, locale }, { change });
          await visit(page);
          if (count === "5") await openEverything(page);
          for (const colorScheme of ["light", "dark"]) {
            await page.emulateMedia({ colorScheme });
            const where = `${count}-${width}-${colorScheme}-${locale.slice(0, 2)}`;
            await noSidewaysScroll(page, where);
            // Each theme and each language at each width, half of the looks.
            if ((width > 500) === (colorScheme === "light") === (locale === "en-US")) await accessible(page, where);
            await shot(page, `look-${where}`);
          }
          if (count === "0" && locale === "en-US") {
            await page.locator("#key-add").click();
            for (const colorScheme of ["light", "dark"]) {
              await page.emulateMedia({ colorScheme });
              await accessible(page, `${width}, ${colorScheme}, dialog`, "dialog");
            }
          }
          await context.close();
        }
      }
    }
  },

  async "on a phone a state of many words leaves the name its half of the line"() {
    const { page } = await sampled({ viewport: { width: 360, height: 900 } }, { change: five });
    await visit(page);
    const widths = await page.locator("#pool summary > .name").evaluateAll((names) => names.map((name) => name.clientWidth / name.parentElement.clientWidth));
    assert.ok(widths.length === 5 && widths.every((part) => part > 0.45), String(widths));
    await openEverything(page);
    const lines = await page.locator("#pool .quota dd > .note").evaluateAll((notes) => notes.map((note) => note.clientHeight / parseFloat(getComputedStyle(note).lineHeight)));
    assert.ok(lines.length === 2 && lines.every((count) => count < 1.5), `when a quota is full again takes ${lines} lines`);
    await noSidewaysScroll(page, "opened");
    await shot(page, "phone-states");
  },

  async "what is wrong is said once, and not in two kinds of words"() {
    const codes = ["api_key_invalid", "api_key_leaked", "validation_required", "tos_violation", "service_disabled", "scope_insufficient", "billing_disabled"];
    for (const [locale, column] of [["en-US", 0], ["zh-CN", 1]]) {
      const { page } = await sampled({ locale }, { change(answers) {
        const broken = answers["admin/credentials"][2];
        answers["admin/credentials"] = codes.map((code, i) => ({ ...broken, id: `cred-${i}`, label: `of ${code}`, reason_code: "INVALID_GRANT", told: { code, params: {} } }));
      } });
      await visit(page);
      for (const [i, code] of codes.entries()) {
        const text = await page.locator(`#pool [data-id=cred-${i}]`).first().innerText();
        const sentence = messages[code][column].replace(/\{\w+\}/g, "");
        const word = (column ? zh : en).stateError;
        assert.equal(text.split(sentence).length, 2, `${code}: ${text}`);
        assert.ok(text.includes(word) && !sentence.includes(word) && !text.includes("INVALID_GRANT"), `${code}: ${text}`);
      }
    }
  },

  async "times are the reader's own, with the year where it is another one"() {
    const time = (iso) => new Date(iso).toLocaleString("en", { timeZone: "Asia/Kolkata", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    const { page } = await sampled({ timezoneId: "Asia/Kolkata" }, { change(answers) {
      answers["admin/credentials"][0].expiry = "2099-11-23 20:40:00 UTC";
      answers["admin/keys"].keys[1].limits.expires_at = "2099-01-30T20:00:00Z";
      answers["admin/requests"].requests[0].time = "2026-02-03T20:15:00Z";
      answers["admin/log"].lines[0].time = "2026-02-03T20:16:00Z";
      answers["admin/status"].alerts.push({ level: "error", code: "store_away", params: { since: "2026-02-03T20:17:00Z", reason: "no answer in time" }, text: "" });
    } });
    await page.clock.setFixedTime(new Date("2026-05-01T12:00:00Z"));
    await visit(page);
    await openEverything(page);
    await page.locator("#log-lines span").first().waitFor();
    const text = await page.locator("body").innerText();
    for (const shown of ["Nov 24, 2099, 02:10", "Jan 31, 2099, 01:30", ...["2026-02-03T20:15:00Z", "2026-02-03T20:16:00Z", "2026-02-03T20:17:00Z"].map(time)]) assert.ok(text.includes(shown), `${shown} in ${text}`);
    assert.equal(text.match(/.{30}(UTC|\dT\d\d:|\d\dZ\b).{0,30}/), null, "no time is another zone's");
    const titles = await page.locator("[title]").evaluateAll((all) => all.map((element) => element.title).join("\n"));
    assert.ok(!/\dT\d\d:/.test(titles) && titles.includes("GMT+5:30"), titles);
  },
};
