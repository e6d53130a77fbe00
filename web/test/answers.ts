/** Predicts for the Python tests: reads a line with the bundle's folder, then one JSON string or pair per line. */

import { createInterface } from "node:readline";

import { Model, type Text } from "../src/index.js";

let model: Model | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  if (model === undefined) {
    model = await Model.load(JSON.parse(line) as string);
    continue;
  }
  const [found] = await model.predict([JSON.parse(line) as Text], Math.max(1, model.bundle.labels.length));
  process.stdout.write(JSON.stringify(found) + "\n");
}
