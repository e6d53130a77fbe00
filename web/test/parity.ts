/**
 * Types texts into a served page in Chromium and reports what it shows: reads a JSON line with the page's URL, then one
 * JSON string or pair per line, each answered by `[answer, score]`; the score is null for a number.
 */

import { createInterface } from "node:readline";

import { type Page, chromium } from "playwright-core";

declare global {
  interface Window {
    answered: number;
  }
}

const READY_MS = 120_000; // compiling onnxruntime takes seconds on a busy machine

const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: sandbox });
const page = await browser.newPage();
let open = false;
for await (const line of createInterface({ input: process.stdin })) {
  const found: unknown = JSON.parse(line);
  if (!open) {
    await visit(String(found));
    open = true;
  } else {
    const [text, second] = (Array.isArray(found) ? found : [found]) as string[];
    await type(page, "#text", text!);
    if (second !== undefined) await type(page, "#text-b", second);
    process.stdout.write(JSON.stringify(await page.evaluate(shown)) + "\n");
  }
}
await browser.close();

async function visit(url: string): Promise<void> {
  await page.goto(url);
  await page.waitForSelector("html[data-ready]", { timeout: READY_MS });
  await page.evaluate(() => {
    window.answered = 0; // every answer replaces the tokens, as its last step
    new MutationObserver(() => window.answered++).observe(document.getElementById("tokens")!, { childList: true });
  });
}

async function type(page: Page, selector: string, text: string): Promise<void> {
  const before = await page.evaluate(() => window.answered);
  await page.fill(selector, text);
  await page.waitForFunction((count) => window.answered > count, before, { polling: 5 });
}

function shown(): [answer: string, score: number | null] {
  const row = document.querySelector<HTMLElement>("#scores li");
  const score = row && Number(row.style.getPropertyValue("--share"));
  return [document.getElementById("answer")!.textContent!, score];
}
