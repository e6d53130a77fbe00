/** Needs a three-class bundle for single texts in the folder EIBERT_TEST_BUNDLE; `make test` creates one. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { Model, type Text } from "../../src/index.js";

const FOLDER = process.env["EIBERT_TEST_BUNDLE"] ?? "";
const skip = FOLDER ? false : "EIBERT_TEST_BUNDLE names no bundle";
const NAMES = ["eibert.json", "model.onnx", "vocab.txt"];

test("scores fall, add up to 1 and begin with the label", { skip }, async () => {
  const model = await Model.load(FOLDER);
  const [found] = await model.predict(["play the song"], 99);
  assert.equal(found!.scores.length, 3);
  assert.deepEqual(found!.scores[0], [found!.label, found!.score]);
  assert.deepEqual(found!.scores, [...found!.scores].sort((a, b) => b[1] - a[1]));
  assert.ok(Math.abs(found!.scores.reduce((sum, [, score]) => sum + score, 0) - 1) < 1e-6);
  assert.equal(found!.value, null);
});

test("memory, folder, file URL and network give one answer", { skip }, async () => {
  const contents: Record<string, Uint8Array> = {};
  for (const name of NAMES) contents[name] = await readFile(`${FOLDER}/${name}`);
  const server = createServer((request, response) => response.end(contents[request.url!.split("/").pop()!]));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/bundle`;
  const answers = [];
  for (const source of [contents, FOLDER, pathToFileURL(FOLDER), url, new URL(url)])
    answers.push(await (await Model.load(source)).predict(["call mum"], 3));
  server.closeAllConnections();
  server.close();
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
});

test("predictions may be asked for at once", { skip }, async () => {
  const model = await Model.load(FOLDER);
  const texts = ["play", "stop the song", "call mum please", ""];
  const alone = await model.predict(texts, 3);
  const together = await Promise.all(texts.map((text) => model.predict([text], 3)));
  assert.deepEqual(together.flat(), alone);
  assert.deepEqual(await model.predict([]), []);
});

test("input of another shape is refused", { skip }, async () => {
  const model = await Model.load(FOLDER);
  const told: [unknown, RegExp][] = [
    [[["a", "b"]], /texts\[0\]: found \[string, string\], expected one string/],
    [["a", 3], /texts\[1\]: found number/],
    [[null], /found null/],
    ["one text", /expected a list of inputs/],
  ];
  for (const [texts, message] of told)
    await assert.rejects(model.predict(texts as Text[]), { name: "ShapeError", message });
  await assert.rejects(model.predict(["a"], 0), { name: "ShapeError", message: /topK: found 0/ });
});
