/** Reads a bundle's files once and verifies them before use, like `eibert.runtime.bundle`. */

import { sha256 } from "./digest.js";
import { BundleError } from "./errors.js";
import type { Files } from "./files.js";
import { SPECIALS } from "./tokenizer.js";

export const CONFIGURATION = "eibert.json", GRAPH = "model.onnx", VOCABULARY = "vocab.txt";
const FORMAT = 1;
const LEAST_TOKENS = 4, MOST_TOKENS = 1 << 13;
/** Far above any bundle: larger files are refused before they exhaust a device's memory. */
const MOST_BYTES = 1 << 28, MOST_TEXT_BYTES = 1 << 24;

/** A bundle's configuration and vocabulary. */
export interface Bundle {
  /** Name of the data set the model was trained for. */
  readonly name: string;
  /** Inputs are pairs of texts. */
  readonly pair: boolean;
  /** Class names in the order of the logits; empty for regression. */
  readonly labels: readonly string[];
  /** The metric of the task. */
  readonly metric: string;
  /** Maximum input length, in tokens; longer inputs are truncated. */
  readonly maxTokens: number;
  readonly lowercase: boolean;
  /** Strip accents; null: if and only if lowercasing. */
  readonly stripAccents: boolean | null;
  /** Vocabulary in the order of ids. */
  readonly tokens: readonly string[];
  /** Total size of all files, including the configuration. */
  readonly sizeBytes: number;
}

interface Entry {
  readonly bytes: number;
  readonly sha256: string;
}

interface Configuration {
  readonly name: string;
  readonly pair: boolean;
  readonly labels: readonly string[];
  readonly metric: string;
  readonly max_tokens: number;
  readonly lowercase: boolean;
  readonly strip_accents: boolean | null;
  readonly files: Readonly<Record<string, Entry>>;
}

const FIELDS: readonly (readonly [keyof Configuration, string, (value: unknown) => boolean])[] = [
  ["name", "a string", (value) => typeof value === "string"],
  ["pair", "true or false", (value) => typeof value === "boolean"],
  ["labels", "a list", Array.isArray],
  ["metric", "a string", (value) => typeof value === "string"],
  ["max_tokens", "a whole number", Number.isSafeInteger],
  ["lowercase", "true or false", (value) => typeof value === "boolean"],
  ["strip_accents", "true, false or null", (value) => typeof value === "boolean" || value === null],
  ["files", "an object", isObject],
];

/**
 * Returns a bundle and the bytes of its graph, all verified; files not named in its configuration are ignored.
 *
 * @throws BundleError A file is missing, unreadable or altered, or the configuration is of an unknown format.
 */
export async function readBundle(files: Files): Promise<[Bundle, Uint8Array]> {
  const content = await files.read(CONFIGURATION, MOST_TEXT_BYTES);
  const found = configuration(content, files.place(CONFIGURATION));
  const contents = new Map<string, Uint8Array>();
  for (const [name, entry] of Object.entries(found.files)) contents.set(name, await checked(files, name, entry));
  const tokens = vocabulary(contents.get(VOCABULARY)!, files.place(VOCABULARY));
  const sizeBytes = [...contents.values()].reduce((sum, one) => sum + one.length, content.length);
  const { name, pair, labels, metric, max_tokens: maxTokens, lowercase, strip_accents: stripAccents } = found;
  const bundle = { name, pair, labels, metric, maxTokens, lowercase, stripAccents, tokens, sizeBytes };
  return [bundle, contents.get(GRAPH)!];
}

function configuration(content: Uint8Array, place: string): Configuration {
  let found: unknown;
  try {
    found = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
  } catch (error) {
    throw new BundleError(`${place}: not valid JSON (${reason(error)}); copy the bundle again`);
  }
  if (!isObject(found) || !Object.hasOwn(found, "format"))
    throw new BundleError(
      `${place}: found no \`format\`, expected the configuration of a bundle; copy the bundle again`,
    );
  if (found["format"] !== FORMAT)
    throw new BundleError(
      `${place}: format is ${shown(found["format"])}, this version of eibert-web reads ${FORMAT}; ` +
        "install the version that reads it, or export the bundle again",
    );
  for (const [name, kind, fits] of FIELDS) {
    const has = Object.hasOwn(found, name);
    if (has && fits(found[name])) continue;
    const value = has ? shown(found[name]) : "nothing";
    throw new BundleError(`${place}: ${name}: found ${value}, expected ${kind}; export the bundle again`);
  }
  checkValues(found as unknown as Configuration, place);
  return found as unknown as Configuration;
}

function checkValues(found: Configuration, place: string): void {
  const { labels, files, max_tokens: maxTokens } = found;
  if (!labels.every((label) => typeof label === "string") || new Set(labels).size < labels.length)
    throw new BundleError(`${place}: labels: expected distinct strings; export the bundle again`);
  const shownToAll = { name: [found.name], metric: [found.metric], labels, files: Object.keys(files) };
  for (const [field, texts] of Object.entries(shownToAll))
    if (texts.some(hasSurrogate))
      throw new BundleError(
        `${place}: ${field}: found half a surrogate pair, expected text; export the bundle again`,
      );
  if (maxTokens < LEAST_TOKENS || maxTokens > MOST_TOKENS)
    throw new BundleError(
      `${place}: max_tokens: found ${maxTokens}, expected ${LEAST_TOKENS} to ${MOST_TOKENS}; export it again`,
    );
  for (const name of [GRAPH, VOCABULARY])
    if (!Object.hasOwn(files, name))
      throw new BundleError(`${place}: files: ${name} is not named; export the bundle again`);
  for (const [name, entry] of Object.entries<unknown>(files))
    if (!isPlain(name) || !isEntry(entry))
      throw new BundleError(
        `${place}: files.${shown(name)}: expected a plain name with bytes and sha256; export it again`,
      );
  const together = Object.values(files).reduce((sum, entry) => sum + entry.bytes, 0);
  for (const [what, size, most] of [
    ["all files together", together, MOST_BYTES],
    [VOCABULARY, files[VOCABULARY]!.bytes, MOST_TEXT_BYTES],
  ] as const)
    if (size > most)
      throw new BundleError(
        `${place}: files: ${what} ${size} bytes, more than any bundle has; copy the bundle again`,
      );
}

/** Whether a text contains a lone surrogate, which neither file nor page can represent. */
function hasSurrogate(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}

/** Whether a name cannot escape its folder, on any operating system or in a URL. */
function isPlain(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !/[/\\:\0]/.test(name);
}

function isEntry(entry: unknown): entry is Entry {
  if (!isObject(entry) || typeof entry["sha256"] !== "string") return false;
  const size = entry["bytes"];
  return Number.isSafeInteger(size) && (size as number) >= 0 && (size as number) <= MOST_BYTES;
}

async function checked(files: Files, name: string, entry: Entry): Promise<Uint8Array> {
  const content = await files.read(name, MOST_BYTES);
  const digest = await sha256(content);
  if (content.length !== entry.bytes || digest !== entry.sha256)
    throw new BundleError(
      `${files.place(name)}: altered (${content.length} bytes, SHA-256 ${digest.slice(0, 12)}…; ${CONFIGURATION} says ` +
        `${entry.bytes} bytes, ${entry.sha256.slice(0, 12)}…); copy the bundle again`,
    );
  return content;
}

function vocabulary(content: Uint8Array, place: string): string[] {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content); // a token may be U+FEFF
  } catch {
    throw new BundleError(`${place}: not UTF-8; export the bundle again`);
  }
  const lines = (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
  const known = new Set(lines);
  const absent = SPECIALS.filter((token) => !known.has(token));
  if (absent.length)
    throw new BundleError(`${place}: special tokens ${absent.join(", ")} are not in it; export the bundle again`);
  if (known.size < lines.length)
    throw new BundleError(`${place}: a token stands in it twice; export the bundle again`);
  return lines;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  return JSON.stringify(value).slice(0, 60);
}

function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split(/\s+/).join(" ").slice(0, 300);
}
