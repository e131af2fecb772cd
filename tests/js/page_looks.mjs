// Empty, small and large, at both widths, in both themes and languages.
import { accessible, noSidewaysScroll, shot, visit } from "./browser.mjs";
import { empty, five, openEverything, sampled, thousand } from "./looks.mjs";

export const cases = {
  async "all twenty-four looks are whole and accessible"() {
    for (const [count, change] of Object.entries({ 0: empty, 5: five, 1000: thousand })) {
      for (const width of [1280, 360]) {
        for (const [locale, colorScheme] of [["en-US", "light"], ["zh-CN", "light"], ["en-US", "dark"], ["zh-CN", "dark"]]) {
          const { context, page } = await sampled({ viewport: { width, height: 900 }, isMobile: width < 500, hasTouch: width < 500, locale, colorScheme }, { change });
          await visit(page);
          const where = `${count}-${width}-${colorScheme}-${locale.slice(0, 2)}`;
          if (count === "5") await openEverything(page);
          await noSidewaysScroll(page, where);
          // The words of a language change no structure and no colour, so one look of each size stands for it.
          if (locale === "en-US" || (width < 500 && colorScheme === "dark")) await accessible(page, where);
          await shot(page, `look-${where}`);
          if (count === "0" && locale === "en-US") {
            await page.locator("#key-add").click();
            await accessible(page, `${where}, dialog`, "dialog");
          }
          await context.close();
        }
      }
    }
  },
};
