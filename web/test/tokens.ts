/**
 * Encodes for the Python tests: reads a line with vocabulary and settings, then one JSON string or pair per line, each
 * answered by `[ids, typeIds]`.
 */

import { createInterface } from "node:readline";

import { Tokenizer } from "../src/tokenizer.js";

const WRITE_AT = 1 << 16;

let tokenizer: Tokenizer | undefined;
let answer = "";
for await (const line of createInterface({ input: process.stdin })) {
  const found: unknown = JSON.parse(line);
  if (tokenizer === undefined) {
    const asked = found as { tokens: string[]; lowercase: boolean; strip_accents: boolean | null; max_tokens: number };
    const { tokens, lowercase, strip_accents: stripAccents, max_tokens: maxTokens } = asked;
    tokenizer = new Tokenizer(tokens, { lowercase, stripAccents, maxTokens });
    continue;
  }
  const { ids, typeIds } = Array.isArray(found)
    ? tokenizer.encode(String(found[0]), String(found[1]))
    : tokenizer.encode(String(found));
  answer += JSON.stringify([ids, typeIds]) + "\n";
  if (answer.length > WRITE_AT) await flush();
}
await flush();

async function flush(): Promise<void> {
  if (!process.stdout.write(answer)) await new Promise((drained) => process.stdout.once("drain", drained));
  answer = "";
}
