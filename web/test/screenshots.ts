/**
 * Takes wide and phone-sized screenshots: `node screenshots.js FOLDER page URL TEXT` of a served page with the text
 * typed in, `node screenshots.js FOLDER NAME FILE` of a page in a file.
 */

import { pathToFileURL } from "node:url";

import { chromium, type Page } from "playwright-core";

const READY_MS = 120_000, WARM = 20;
const VIEWS = {
  wide: { viewport: { width: 1000, height: 720 } },
  phone: { viewport: { width: 375, height: 740 }, colorScheme: "dark" as const },
};

const [folder, name, place, text] = process.argv.slice(2) as [string, string, string, string?];
const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: sandbox });
for (const [view, options] of Object.entries(VIEWS)) {
  const page = await (await browser.newContext(options)).newPage();
  await page.goto(text === undefined ? pathToFileURL(place).href : place);
  if (text !== undefined) await answered(page, text);
  await page.screenshot({ path: `${folder}/${name}-${view}.png`, fullPage: true });
}
await browser.close();

/** Types a text and waits for its answer. */
async function answered(page: Page, text: string): Promise<void> {
  await page.waitForSelector("html[data-ready]", { timeout: READY_MS });
  for (let times = 0; times < WARM; times++) {
    await page.fill("#text", text.slice(0, times)); // warm-up, so that the latency shown is not a first prediction's
    await page.waitForTimeout(100);
  }
  await page.fill("#text", text);
  await page.waitForFunction(() => document.getElementById("said")!.textContent !== ""); // transitions are over by then
}
