/** Inference with a bundle: texts in, labels and probabilities out. */

import { InferenceSession, Tensor, env } from "onnxruntime-web/wasm";

import { type Bundle, GRAPH, readBundle } from "./bundle.js";
import { BundleError, ShapeError } from "./errors.js";
import { type Files, type Source, files } from "./files.js";
import { type Encoding, Tokenizer } from "./tokenizer.js";

/** One input: a string, or a pair of strings for a pair task. */
export type Text = string | readonly [string, string];

/** The answer for one input. */
export interface Prediction {
  /** Most probable class; null for regression. */
  readonly label: string | null;
  /** Its probability, 0 to 1; the value for regression. */
  readonly score: number;
  /** The most probable classes and their probabilities, in descending order; empty for regression. */
  readonly scores: readonly (readonly [label: string, score: number])[];
  /** The predicted number; null for classification. */
  readonly value: number | null;
}

/** How a bundle is loaded. */
export interface Options {
  /** Location of onnxruntime's `.wasm` file; needed in a bundled page, not in Node. */
  readonly wasm?: string | URL;
}

const AGAIN = "export the bundle again";
const INPUTS = ["attention_mask", "input_ids", "token_type_ids"];

export class Model {
  readonly tokenizer: Tokenizer;

  private constructor(
    /** The bundle's configuration and vocabulary. */
    readonly bundle: Bundle,
    private readonly session: InferenceSession,
  ) {
    this.tokenizer = new Tokenizer(bundle.tokens, bundle);
  }

  /**
   * Loads the model of a bundle.
   *
   * @throws BundleError A file is missing, altered or of an unknown format, or the graph is not this bundle's.
   */
  static async load(source: Source, options: Options = {}): Promise<Model> {
    const found = files(source);
    const [bundle, graph] = await readBundle(found);
    env.wasm.numThreads = 1;
    if (options.wasm !== undefined) env.wasm.wasmPaths = { wasm: String(options.wasm) };
    const session = await open(graph, found);
    checkGraph(session, bundle, found);
    return new Model(bundle, session);
  }

  /**
   * Returns one prediction per input, in order.
   *
   * @param texts Strings, or pairs of strings for a pair task. Any string is legal; inputs longer than the model's
   *   maximum are truncated.
   * @param topK Number of classes in `scores`; all if there are fewer.
   * @throws ShapeError topK is below 1, or an input does not have the shape that the task requires.
   * @throws BundleError The graph cannot be run.
   */
  async predict(texts: readonly Text[], topK = 1): Promise<Prediction[]> {
    if (!(Number.isInteger(topK) && topK >= 1)) throw new ShapeError(`topK: found ${topK}, expected 1 or more`);
    return (await this.logits(texts)).map((logits) => this.#prediction(logits, topK));
  }

  /**
   * Returns the logits of each input; a single number for regression.
   *
   * @throws ShapeError An input does not have the shape that the task requires.
   */
  async logits(texts: readonly Text[]): Promise<Float32Array[]> {
    if (!Array.isArray(texts)) throw new ShapeError(`texts: found ${kind(texts)}, expected a list of inputs`);
    const rows = texts.map((text, index) => this.#row(text, index));
    const result: Float32Array[] = [];
    for (const [text, pair] of rows) result.push(await this.#forward(this.tokenizer.encode(text, pair)));
    return result;
  }

  /** Frees the graph's memory; the model cannot be used afterwards. */
  async release(): Promise<void> {
    await this.session.release();
  }

  async #forward(encoding: Encoding): Promise<Float32Array> {
    const feeds = {
      input_ids: row(encoding.ids),
      attention_mask: row(encoding.ids.map(() => 1)),
      token_type_ids: row(encoding.typeIds),
    };
    const logits = await run(this.session, feeds);
    const expected = this.bundle.labels.length || 1;
    if (logits.length !== expected || !logits.every(Number.isFinite))
      throw new BundleError(`${GRAPH}: found ${logits.length} logits, expected ${expected} finite ones; ${AGAIN}`);
    return logits;
  }

  #row(text: unknown, index: number): [text: string, pair?: string] {
    if (!this.bundle.pair && typeof text === "string") return [text];
    if (this.bundle.pair && Array.isArray(text) && text.length === 2 && text.every((one) => typeof one === "string"))
      return [text[0] as string, text[1] as string];
    const expected = this.bundle.pair ? "a pair of strings [text, textB]" : "one string";
    throw new ShapeError(
      `texts[${index}]: found ${kind(text)}, expected ${expected}: ${this.bundle.name} is such a task`,
    );
  }

  #prediction(logits: Float32Array, topK: number): Prediction {
    const { labels } = this.bundle;
    if (!labels.length) return { label: null, score: logits[0]!, scores: [], value: logits[0]! };
    const probabilities = softmax(logits);
    const order = labels.map((_, index) => index).sort((a, b) => probabilities[b]! - probabilities[a]!);
    const scores = order.slice(0, topK).map((index) => [labels[index]!, probabilities[index]!] as const);
    return { label: scores[0]![0], score: scores[0]![1], scores, value: null };
  }
}

async function open(graph: Uint8Array, found: Files): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(graph, { executionProviders: ["wasm"], logSeverityLevel: 3 });
  } catch (error) {
    throw new BundleError(`${found.place(GRAPH)}: onnxruntime-web cannot load it (${reason(error)}); upgrade it`);
  }
}

async function run(session: InferenceSession, feeds: Record<string, Tensor>): Promise<Float32Array> {
  try {
    const { logits } = await session.run(feeds, ["logits"]);
    return (await logits!.getData()) as Float32Array;
  } catch (error) {
    throw new BundleError(`${GRAPH}: onnxruntime-web cannot run it (${reason(error)}); ${AGAIN}`);
  }
}

function reason(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split(/\s+/).join(" ").slice(0, 300);
}

function checkGraph(session: InferenceSession, bundle: Bundle, found: Files): void {
  const inputs = [...session.inputNames].sort();
  const output = session.outputMetadata.find((node) => node.name === "logits");
  if (inputs.join() !== INPUTS.join() || !output?.isTensor)
    throw new BundleError(
      `${found.place(GRAPH)}: inputs ${inputs}, outputs ${session.outputNames} are no bundle's; export again`,
    );
  const width = output.shape.at(-1), expected = bundle.labels.length || 1;
  if (typeof width === "number" && width !== expected)
    throw new BundleError(
      `${found.place(GRAPH)}: ${width} logits for ${expected} outputs of eibert.json; export the bundle again`,
    );
}

function row(values: readonly number[]): Tensor {
  return new Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
}

/** Probabilities in single precision, as computed in Python. */
function softmax(logits: Float32Array): Float32Array {
  const greatest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const exponentials = logits.map((logit) => Math.exp(logit - greatest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((one) => one / sum);
}

function kind(value: unknown): string {
  if (Array.isArray(value)) return `[${value.slice(0, 4).map(kind).join(", ")}]`;
  return value === null ? "null" : typeof value;
}
