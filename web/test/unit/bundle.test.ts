import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { readBundle } from "../../src/bundle.js";
import { files } from "../../src/files.js";
import { Model } from "../../src/index.js";
import { SPECIALS } from "../../src/tokenizer.js";

type Contents = Record<string, Uint8Array>;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** An in-memory bundle; `changed` replaces keys of eibert.json, undefined removes one. */
function bundle(changed: Record<string, unknown> = {}, contents: Contents = {}): Contents {
  const tokens = bytes([...SPECIALS, "good"].join("\n") + "\n");
  const all: Contents = { "model.onnx": bytes("graph"), "vocab.txt": tokens, ...contents };
  const named = Object.entries(all).map(([name, content]) => {
    return [name, { bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") }];
  });
  const facts = {
    format: 1, name: "toy", pair: false, labels: ["a", "b"], metric: "accuracy", max_tokens: 8, lowercase: true,
    strip_accents: null, files: Object.fromEntries(named), ...changed,
  };
  return { ...all, "eibert.json": bytes(JSON.stringify(facts)) };
}

const refused = (contents: Contents, told: RegExp) =>
  assert.rejects(readBundle(files(contents)), { name: "BundleError", message: told });

test("a whole bundle is read", async () => {
  const contents = bundle();
  const [found, graph] = await readBundle(files(contents));
  assert.deepEqual(found.tokens, [...SPECIALS, "good"]);
  assert.equal(found.maxTokens, 8);
  assert.equal(found.sizeBytes, Object.values(contents).reduce((sum, one) => sum + one.length, 0));
  assert.equal(new TextDecoder().decode(graph), "graph");
});

test("a pair of surrogates is a character", async () => {
  const [found] = await readBundle(files(bundle({ name: "\ud83d\ude00", labels: ["👍🏽", "b"] })));
  assert.deepEqual([found.name, ...found.labels], ["😀", "👍🏽", "b"]);
});

const CHANGES: [Record<string, unknown>, RegExp][] = [
  [{ format: 2 }, /format is 2, this version of eibert-web reads 1/],
  [{ format: "1" }, /format is "1"/],
  [{ format: true }, /format is true/],
  [{ format: undefined }, /found no `format`/],
  [{ labels: undefined }, /labels: found nothing, expected a list/],
  [{ labels: ["a", "a"] }, /labels: expected distinct strings/],
  [{ labels: ["a", 1] }, /labels: expected distinct strings/],
  [{ name: "\ud83d" }, /name: found half a surrogate pair, expected text/],
  [{ metric: "\udc00\ud800" }, /metric: found half a surrogate pair/],
  [{ labels: ["a\ud800", "b"] }, /labels: found half a surrogate pair/],
  [{ files: { "\ud800": { bytes: 1, sha256: "" }, "model.onnx": {}, "vocab.txt": {} } }, /files: found half a surrogate/],
  [{ max_tokens: true }, /max_tokens: found true/],
  [{ max_tokens: 2 }, /max_tokens: found 2/],
  [{ max_tokens: 8.5 }, /max_tokens: found 8.5/],
  [{ max_tokens: 8193 }, /max_tokens: found 8193, expected 4 to 8192/],
  [{ strip_accents: "yes" }, /expected true, false or null/],
  [{ pair: 1 }, /pair: found 1, expected true or false/],
  [{ files: {} }, /model\.onnx is not named/],
  [{ files: [] }, /files: found \[\], expected an object/],
];
for (const [changed, told] of CHANGES)
  test(`configuration with ${JSON.stringify(changed)} is refused`, () => refused(bundle(changed), told));

for (const name of ["../secret", "a/b", "a\\b", "..", ".", "", "C:x", "a\0"])
  test(`file named ${JSON.stringify(name)} is refused`, () =>
    refused(bundle({}, { [name]: bytes("x") }), /expected a plain name/));

test("a file without its digest is refused", () =>
  refused(bundle({ files: { "model.onnx": { bytes: 5 }, "vocab.txt": null } }), /with bytes and sha256/));

const ENTRIES = [[5, null], ["5", ""], [-1, ""], [2 ** 40, ""]].map(([size, digest]) => ({ bytes: size, sha256: digest }));
for (const entry of ENTRIES)
  test(`an entry of ${JSON.stringify(entry)} is refused`, () =>
    refused(bundle({ files: { "model.onnx": entry, "vocab.txt": entry } }), /with bytes and sha256/));

const entry = (size: number) => ({ bytes: size, sha256: "" });
for (const [what, more] of [
  [/all files together 268435457 bytes/, { "a.bin": entry(2 ** 27), "b.bin": entry(2 ** 27), "model.onnx": entry(1), "vocab.txt": entry(0) }],
  [/vocab\.txt 16777217 bytes/, { "model.onnx": entry(1), "vocab.txt": entry(2 ** 24 + 1) }],
] as const)
  test(`files larger than any are refused unread: ${what.source}`, () => refused(bundle({ files: more }), what));

test("a configuration larger than any is refused", () =>
  refused({ ...bundle(), "eibert.json": new Uint8Array(2 ** 24 + 1) }, /eibert\.json: over 16777216 bytes/));

for (const name of ["eibert.json", "model.onnx"])
  test(`a device in place of ${name} is refused unread`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "eibert-"));
    for (const [file, content] of Object.entries(bundle())) if (file !== name) writeFileSync(join(folder, file), content);
    symlinkSync("/dev/zero", join(folder, name));
    const told = new RegExp(`${name}: not readable \\(no regular file\\)`);
    await assert.rejects(Model.load(folder), { name: "BundleError", message: told });
    rmSync(folder, { recursive: true });
  });

for (const name of ["model.onnx", "vocab.txt"])
  test(`altered ${name} is refused and named`, async () => {
    const contents = bundle();
    contents[name] = Uint8Array.from(contents[name]!, (byte, index) => (index === 2 ? byte ^ 1 : byte));
    await refused(contents, new RegExp(`${name}: altered`));
  });

for (const name of ["model.onnx", "vocab.txt", "eibert.json"])
  test(`missing ${name} is refused and named`, async () => {
    const contents = bundle();
    delete contents[name];
    await refused(contents, new RegExp(`${name}: missing`));
  });

for (const content of ["{", "[]", "\u0000", "[".repeat(100_000)])
  test(`configuration ${content.slice(0, 3)} is refused`, () =>
    refused({ ...bundle(), "eibert.json": bytes(content) }, /eibert\.json: /));

const VOCABULARIES: [Uint8Array, RegExp][] = [
  [bytes("[PAD]\n[UNK]\n"), /special tokens \[CLS\], \[SEP\], \[MASK\] are not in it/],
  [bytes([...SPECIALS, "good", "good"].join("\n")), /stands in it twice/],
  [Uint8Array.of(0xff), /not UTF-8/],
];
for (const [content, told] of VOCABULARIES)
  test(`vocabulary is refused: ${told.source}`, () => refused(bundle({}, { "vocab.txt": content }), told));

test("a vocabulary may hold a line separator and a byte order mark", async () => {
  const tokens = bytes(["\ufeff", "\u2028", ...SPECIALS].join("\n"));
  const [found] = await readBundle(files(bundle({}, { "vocab.txt": tokens })));
  assert.deepEqual(found.tokens.slice(0, 2), ["\ufeff", "\u2028"]);
});

test("a graph that is none is refused", () =>
  assert.rejects(Model.load(bundle()), { name: "BundleError", message: /model\.onnx: onnxruntime-web cannot load/ }));

test("a folder that is not there is refused", () =>
  assert.rejects(Model.load("/nowhere/at/all"), { name: "BundleError", message: /missing/ }));
