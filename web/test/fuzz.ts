/**
 * Loads bundles, most of them corrupted, for the Python fuzzer: answers each JSON line with folder and texts by a line
 * with the outcome.
 */

import { createInterface } from "node:readline";

import { BundleError, Model, ShapeError, type Text } from "../src/index.js";

interface Outcome {
  readonly outcome: "answered" | "refused" | "defect";
  readonly detail: string;
  readonly labels?: readonly (string | null)[];
}

for await (const line of createInterface({ input: process.stdin })) {
  const { folder, texts } = JSON.parse(line) as { folder: string; texts: string[] };
  process.stdout.write(JSON.stringify(await outcome(folder, texts)) + "\n");
}

async function outcome(folder: string, texts: readonly string[]): Promise<Outcome> {
  try {
    const model = await Model.load(folder);
    const { pair, labels } = model.bundle;
    const rows = texts.map((text): Text => (pair ? [text, text] : text));
    const found = await model.predict(rows, 3);
    await model.release();
    const odd = found.find(({ label, score }) => !Number.isFinite(score) || (label !== null && !labels.includes(label)));
    if (odd !== undefined) return { outcome: "defect", detail: JSON.stringify(odd) };
    return { outcome: "answered", detail: "", labels: found.map(({ label }) => label) };
  } catch (error) {
    const known = error instanceof BundleError || error instanceof ShapeError;
    const detail = String(error instanceof Error ? (known ? error.message : error.stack) : error);
    return { outcome: known ? "refused" : "defect", detail };
  }
}
