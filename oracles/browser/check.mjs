// Looks at pages in a headless browser, in both colour schemes, wide and narrow: the accessibility
// rules of axe-core hold, nothing reaches over an edge or is cut off, no text lies over another,
// and every letter can be read. The browser has no network, and the page may run no script.
// Usage: CHROME=/path/to/chromium node check.mjs OUT_FOLDER PAGE...
// Exit codes: 0 nothing found, 1 something found.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const SCHEMES = ["light", "dark"];
const WIDTHS = [1440, 390];
// Letters that are smaller on the screen cannot be read.
const LEAST_PIXELS = 11;

// Runs in the page: what is wrong with how it is laid out, one sentence each.
function layout(least) {
  const found = [];
  const seen = (element) => element.getClientRects().length > 0;
  const name = (element) => `${element.tagName} ${(element.textContent || "").trim().slice(0, 40)}`;
  for (const element of document.querySelectorAll("header *, main *")) {
    const box = element.getBoundingClientRect();
    if (seen(element) && (box.right > innerWidth + 1 || box.left < -1)) {
      found.push(`reaches over the edge: ${name(element)}`);
    }
  }
  if (document.documentElement.scrollWidth > innerWidth) {
    found.push("the page is wider than the screen");
  }
  for (const drawing of document.querySelectorAll("svg[role=img]")) {
    if (!seen(drawing)) continue;
    const frame = drawing.getBoundingClientRect();
    const texts = [...drawing.querySelectorAll("text")].map((text) => {
      const size = parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a;
      return { words: text.textContent, size, box: text.getBoundingClientRect() };
    });
    texts.forEach(({ words, size, box }, n) => {
      if (size < least) found.push(`${size.toFixed(1)} pixels: ${words}`);
      const out = box.left < frame.left - 1 || box.right > frame.right + 1;
      if (out || box.top < frame.top - 1 || box.bottom > frame.bottom + 1) {
        found.push(`cut off: ${words}`);
      }
      for (const other of texts.slice(n + 1)) {
        const b = other.box;
        const beside = box.left < b.right - 1 && b.left < box.right - 1;
        if (beside && box.top < b.bottom - 1 && b.top < box.bottom - 1) {
          found.push(`${words} lies over ${other.words}`);
        }
      }
    });
  }
  return found;
}

async function check(browser, page, out) {
  const all = [];
  for (const colorScheme of SCHEMES) {
    for (const width of WIDTHS) {
      const viewport = { width, height: 900 };
      const context = await browser.newContext({ colorScheme, viewport, offline: true });
      const tab = await context.newPage();
      const asked = [];
      tab.on("request", (request) => asked.push(request.url()));
      await tab.goto(pathToFileURL(resolve(page)).href);
      const found = asked.slice(1).map((url) => `asks for ${url}`);
      if (await tab.evaluate(() => document.scripts.length)) found.push("has a script");
      found.push(...(await tab.evaluate(layout, LEAST_PIXELS)));
      await tab.evaluate(AXE);
      const axe = await tab.evaluate((runOnly) => window.axe.run(document, { runOnly }), RULES);
      for (const { id, nodes } of axe.violations) {
        found.push(`axe ${id}: ${nodes.length} times, first ${nodes[0].html.slice(0, 80)}`);
      }
      const shot = `${basename(page, ".html")}-${colorScheme}-${width}.png`;
      await tab.screenshot({ path: join(out, shot), fullPage: true });
      console.log(`${basename(page)} ${colorScheme} ${width}: ${found.length || "nothing"} found`);
      all.push(...found.map((what) => `${basename(page)} ${colorScheme} ${width}: ${what}`));
      await context.close();
    }
  }
  return all;
}

const [out, ...pages] = process.argv.slice(2);
if (!pages.length) {
  console.error("usage: node check.mjs OUT_FOLDER PAGE...");
  process.exit(1);
}
const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
const browser = await chromium.launch({ executablePath: process.env.CHROME, args });
const found = [];
for (const page of pages) found.push(...(await check(browser, page, out)));
await browser.close();
found.forEach((what) => console.error(what));
process.exit(found.length ? 1 : 0);
