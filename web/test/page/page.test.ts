/**
 * Types into the served page in Chromium and reads its answers. EIBERT_DEMO is JSON: task → url, texts, and Python's
 * tokens and answer; EIBERT_SCREENSHOTS may name a folder for screenshots.
 */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { type Browser, type BrowserContextOptions, type Page, chromium } from "playwright-core";

interface Demo {
  readonly url: string;
  readonly texts: readonly string[];
  readonly answer: string;
  readonly scores: readonly (readonly [string, string])[];
  readonly tokens: readonly string[];
  readonly bytes: string;
}

const DEMOS = JSON.parse(process.env["EIBERT_DEMO"] ?? "{}") as Record<"classes" | "pairs" | "numbers", Demo>;
const PICTURES = process.env["EIBERT_SCREENSHOTS"];
const READY_MS = 120_000; // compiling onnxruntime takes seconds on a busy machine
const PHONE = { viewport: { width: 360, height: 740 } };

let browser: Browser;
before(async () => {
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  browser = await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: sandbox });
});
after(() => browser.close());

/** Opens a demo's page, waits until it is ready and uses it; fails on any console error or foreign request. */
async function visit(demo: Demo, use: (page: Page) => Promise<void>, options: BrowserContextOptions = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (said) => said.type() === "error" && complaints.push(said.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (asked) => {
    if (!asked.url().startsWith(demo.url) && !asked.url().startsWith("data:")) complaints.push(asked.url());
  });
  await page.goto(demo.url);
  await page.waitForSelector("html[data-ready]", { timeout: READY_MS });
  await use(page);
  await context.close();
  assert.deepEqual(complaints, []);
}

async function type(page: Page, demo: Demo): Promise<void> {
  await page.locator("#text").pressSequentially(demo.texts[0]!, { delay: 10 });
  if (demo.texts[1] !== undefined) {
    await page.keyboard.press("Tab");
    await page.keyboard.type(demo.texts[1], { delay: 10 });
  }
  // Wait for the whole text: a busy machine shows answers to parts of it between two keystrokes.
  const read = (tokens: readonly string[]) => {
    const shown = [...document.querySelectorAll("#tokens li")].map((item) => item.textContent);
    return JSON.stringify(shown) === JSON.stringify(tokens);
  };
  await page.waitForFunction(read, demo.tokens);
  const answer = (await page.textContent("#answer"))!;
  // Two runtimes may round the last of six digits apart.
  const near = Math.abs(Number(answer) - Number(demo.answer)) <= 1e-5 * Math.abs(Number(demo.answer));
  assert.ok(near || answer === demo.answer, `${answer}, expected ${demo.answer}`);
}

const texts = (page: Page, selector: string) => page.locator(selector).allTextContents();

async function picture(page: Page, name: string): Promise<void> {
  await page.waitForTimeout(PICTURES ? 400 : 0); // let the bars settle
  if (PICTURES) await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
}

for (const task of ["classes", "pairs", "numbers"] as const)
  test(`${task}: what is typed gets Python's answer`, () =>
    visit(DEMOS[task], async (page) => {
      const demo = DEMOS[task];
      assert.equal(await page.locator("#second").isVisible(), task === "pairs");
      await type(page, demo);
      const names = await texts(page, "#scores li span:first-child"), shares = await texts(page, "#scores .share");
      assert.deepEqual(names.map((name, index) => [name, shares[index]]), demo.scores);
      assert.deepEqual(await texts(page, "#tokens li"), demo.tokens);
      assert.match((await page.textContent("#time"))!, /^\d+\.\d ms$/);
      assert.equal(await page.textContent("#size"), `${demo.bytes} bytes`);
      assert.equal(await page.textContent("h1"), task);
      const said = (answer: string) => document.getElementById("said")!.textContent!.startsWith(answer);
      await page.waitForFunction(said, (await page.textContent("#answer"))!);
      await picture(page, `${task}-wide`);
    }));

test("rows of scores stay while one types and go with the text; markup stays text", () =>
  visit(DEMOS.classes, async (page) => {
    await type(page, DEMOS.classes);
    await page.evaluate(() => (document.querySelector<HTMLElement>("#scores li")!.dataset["seen"] = "yes"));
    await page.keyboard.type(" now please");
    const grown = (before: number) => document.querySelectorAll("#tokens li").length > before;
    await page.waitForFunction(grown, DEMOS.classes.tokens.length);
    assert.equal(await page.locator("#scores li[data-seen]").count(), 1);
    await page.fill("#text", "");
    await page.waitForFunction(() => document.querySelectorAll("#scores li, #tokens li").length === 0);
    await page.fill("#text", "<img src=x onerror=alert(1)> \u0000 🙈");
    await page.waitForFunction(() => document.querySelectorAll("#tokens li").length > 3);
    assert.equal(await page.locator("img").count(), 0);
  }));

for (const colorScheme of ["light", "dark"] as const)
  test(`on a phone in ${colorScheme} nothing runs over, text has contrast, focus is seen`, () =>
    visit(
      DEMOS.pairs,
      async (page) => {
        await type(page, DEMOS.pairs);
        await picture(page, `pairs-phone-${colorScheme}`);
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360);
        assert.deepEqual(await page.evaluate(faint), []);
        assert.equal(await page.evaluate(() => document.activeElement?.id), "text-b");
        assert.match(await page.locator("#text-b").evaluate((area) => getComputedStyle(area).outline), /solid 3px/);
        for (const label of ["First text", "Second text"]) assert.equal(await page.getByLabel(label).count(), 1);
      },
      { ...PHONE, colorScheme },
    ));

test("an altered bundle is told and not used", async () => {
  const page = await browser.newPage();
  await page.route("**/bundle/vocab.txt", (route) => route.fulfill({ body: "altered" }));
  await page.goto(DEMOS.classes.url);
  await page.waitForSelector("#status.error");
  assert.match((await page.textContent("#status"))!, /vocab\.txt: altered/);
  assert.ok(await page.locator("#text").isDisabled());
  await picture(page, "altered");
  await page.close();
});

/** Returns the texts on the page whose contrast with the nearest background is below 4.5 : 1. */
function faint(): string[] {
  const channels = (color: string) => color.match(/[\d.]+/g)!.map(Number);
  const light = (color: string) => {
    const [r, g, b] = channels(color).slice(0, 3).map((channel) => {
      const share = channel / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  };
  const ground = (element: Element): string[] => {
    const bar = getComputedStyle(element, "::before"), own = getComputedStyle(element).backgroundColor;
    const all = [own, ...(bar.content === "none" ? [] : [bar.backgroundColor])];
    const painted = all.filter((color) => channels(color)[3] !== 0);
    return painted.length || !element.parentElement ? painted : ground(element.parentElement);
  };
  return [...document.querySelectorAll("body *")].flatMap((element) => {
    const own = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    const text = own.map((node) => node.textContent!.trim()).join("");
    if (!text || !(element as HTMLElement).offsetParent) return [];
    return ground(element).flatMap((color) => {
      const [low, high] = [light(color), light(getComputedStyle(element).color)].sort((a, b) => a - b);
      const ratio = (high! + 0.05) / (low! + 0.05);
      return ratio < 4.5 ? [`${text}: ${ratio.toFixed(2)}`] : [];
    });
  });
}
