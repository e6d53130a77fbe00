import assert from "node:assert/strict";
import { test } from "node:test";

import { SPECIALS, Tokenizer } from "../../src/tokenizer.js";

const TOKENS = [...SPECIALS, "good", "bad", "##ly", "!", "[", "]", "cls", "i", "##\u0307", "漢", "字", "é", "a"];

function pieces(text: string, lowercase = true, stripAccents: boolean | null = null): string[] {
  const tokenizer = new Tokenizer(TOKENS, { lowercase, stripAccents, maxTokens: 64 });
  return tokenizer.pieces(text).map((piece) => piece.token);
}

test("words are split into the longest tokens", () => {
  assert.deepEqual(pieces("Badly good!"), ["bad", "##ly", "good", "!"]);
});

test("a special token in a text is no special token", () => {
  assert.deepEqual(pieces("[CLS]"), ["[", "cls", "]"]);
});

test("dotted capital I keeps its dot only where accents stay", () => {
  assert.deepEqual(pieces("\u0130"), ["i"]);
  assert.deepEqual(pieces("\u0130", true, false), ["i", "##\u0307"]);
});

test("Chinese characters are words, and lone surrogates are nothing", () => {
  assert.deepEqual(pieces("漢字\ud800"), ["漢", "字"]);
});

test("accents go exactly when lower-casing unless said otherwise", () => {
  assert.deepEqual(pieces("é", false), ["é"]);
  assert.deepEqual(pieces("é", false, true), ["[UNK]"]);
});

test("a word of more than 100 characters is unknown, counted in code points", () => {
  const reading = { lowercase: true, stripAccents: null, maxTokens: 300 };
  const tokenizer = new Tokenizer([...SPECIALS, "𐀀", "##𐀀"], reading);
  assert.equal(tokenizer.pieces("𐀀".repeat(100)).length, 100);
  assert.deepEqual(tokenizer.pieces("𐀀".repeat(101)).map((piece) => piece.token), ["[UNK]"]);
});

test("the longer text of a pair is cut first", () => {
  const tokenizer = new Tokenizer(TOKENS, { lowercase: true, stripAccents: null, maxTokens: 8 });
  const found = tokenizer.encode("good good good good good", "bad");
  assert.deepEqual(found.pieces.map((one) => one.length), [4, 1]);
  assert.equal(found.cut, 1);
  assert.deepEqual(found.typeIds, [0, 0, 0, 0, 0, 0, 1, 1]);
  const halves = tokenizer.encode("good ".repeat(9), "bad ".repeat(8));
  assert.deepEqual(halves.pieces.map((one) => one.length), [3, 2]);
});
