/** Takes pictures of a served page: `node screenshots.js URL FOLDER TEXT` writes page-wide.png and page-phone.png. */

import { chromium } from "playwright-core";

const READY_MS = 120_000, WARM = 20;
const VIEWS = {
  wide: { viewport: { width: 1000, height: 720 } },
  phone: { viewport: { width: 375, height: 740 }, colorScheme: "dark" as const },
};

const [url, folder, text] = process.argv.slice(2) as [string, string, string];
const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: sandbox });
for (const [name, options] of Object.entries(VIEWS)) {
  const page = await (await browser.newContext(options)).newPage();
  await page.goto(url);
  await page.waitForSelector("html[data-ready]", { timeout: READY_MS });
  for (let times = 0; times < WARM; times++) {
    await page.fill("#text", text.slice(0, times)); // so that the time shown is not that of a first prediction
    await page.waitForTimeout(100);
  }
  await page.fill("#text", text);
  await page.waitForFunction(() => document.getElementById("said")!.textContent !== ""); // all has moved to its place
  await page.screenshot({ path: `${folder}/page-${name}.png`, fullPage: true });
}
await browser.close();
