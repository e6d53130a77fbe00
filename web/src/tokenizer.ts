/** BERT's WordPiece tokenizer, piece for piece equivalent to `eibert.runtime.tokenizer`. */

import { cleaned, isPunctuation, lowered, withoutAccents } from "./characters.js";

export const PAD = "[PAD]", UNKNOWN = "[UNK]", CLASSIFY = "[CLS]", SEPARATE = "[SEP]", MASK = "[MASK]";
export const SPECIALS: readonly string[] = [PAD, UNKNOWN, CLASSIFY, SEPARATE, MASK];

const LONGEST_WORD = 100; // code points; longer words are unknown
const BLANK = 0x20;

/** Tokenizer settings. */
export interface Reading {
  /** Lowercase the text. */
  readonly lowercase: boolean;
  /** Strip accents; null: if and only if lowercasing, like BERT. */
  readonly stripAccents: boolean | null;
  /** Maximum input length in tokens, including special tokens. */
  readonly maxTokens: number;
}

/** A vocabulary token found in a text. */
export interface Piece {
  readonly id: number;
  readonly token: string;
  /** The matching part of the normalized text; the whole word if unknown. */
  readonly text: string;
}

/** One input, encoded for the model. */
export interface Encoding {
  readonly ids: readonly number[];
  /** 0 for the first text with its special tokens, 1 for the second. */
  readonly typeIds: readonly number[];
  /** The pieces kept from each text, without special tokens. */
  readonly pieces: readonly (readonly Piece[])[];
  /** Number of pieces cut off. */
  readonly cut: number;
}

export class Tokenizer {
  readonly #ids: ReadonlyMap<string, number>;
  readonly #longest: number; // length of the longest token in UTF-16 units; bounds the lookups

  /** @param tokens Vocabulary in the order of ids; includes all of SPECIALS. */
  constructor(
    private readonly tokens: readonly string[],
    private readonly reading: Reading,
  ) {
    this.#ids = new Map(tokens.map((token, index) => [token, index]));
    this.#longest = tokens.reduce((longest, token) => Math.max(longest, token.length), 0);
  }

  /** Encodes a text or a pair of texts with special tokens, truncated to the maximum input length. */
  encode(text: string, pair?: string): Encoding {
    const all = (pair === undefined ? [text] : [text, pair]).map((one) => this.pieces(one));
    const lengths = truncated(all.map((one) => one.length), this.reading.maxTokens - all.length - 1);
    const pieces = all.map((one, index) => one.slice(0, lengths[index]));
    const ids = [this.#id(CLASSIFY)], typeIds = [0];
    pieces.forEach((kept, segment) => {
      ids.push(...kept.map((piece) => piece.id), this.#id(SEPARATE));
      typeIds.push(...new Array<number>(kept.length + 1).fill(segment));
    });
    const cut = all.reduce((sum, one, index) => sum + one.length - pieces[index]!.length, 0);
    return { ids, typeIds, pieces, cut };
  }

  /** Returns the pieces of a text, untruncated and without special tokens. */
  pieces(text: string): Piece[] {
    const { lowercase, stripAccents } = this.reading;
    let points = cleaned(text);
    if (stripAccents ?? lowercase) points = withoutAccents(points);
    if (lowercase) points = lowered(points);
    const result: Piece[] = [];
    for (const word of words(points)) result.push(...this.#split(word));
    return result;
  }

  /** Splits a word greedily into the longest matching tokens from its start; one unknown piece if that fails. */
  #split(word: readonly number[]): Piece[] {
    const text = String.fromCodePoint(...word.slice(0, LONGEST_WORD));
    if (word.length > LONGEST_WORD) return [this.#unknown(`${text}…`)];
    const result: Piece[] = [];
    for (let start = 0; start < text.length; ) {
      let end = Math.min(text.length, start + this.#longest);
      let found: number | undefined;
      for (; end > start; end--) {
        found = this.#ids.get((start ? "##" : "") + text.slice(start, end)); // half a surrogate pair never matches
        if (found !== undefined) break;
      }
      if (found === undefined) return [this.#unknown(text)];
      result.push({ id: found, token: this.tokens[found]!, text: text.slice(start, end) });
      start = end;
    }
    return result;
  }

  #unknown(text: string): Piece {
    return { id: this.#id(UNKNOWN), token: UNKNOWN, text };
  }

  #id(token: string): number {
    return this.#ids.get(token)!;
  }
}

/** Splits at spaces; each punctuation character is a word of its own. */
function words(points: readonly number[]): number[][] {
  const result: number[][] = [];
  let word: number[] = [];
  const close = () => {
    if (word.length) result.push(word);
    word = [];
  };
  for (const point of points) {
    if (point === BLANK) close();
    else if (isPunctuation(point)) {
      close();
      result.push([point]);
    } else word.push(point);
  }
  close();
  return result;
}

/** Returns how many pieces of each text to keep: the longer of two is truncated first, then both to half the limit. */
function truncated(lengths: readonly number[], limit: number): number[] {
  const [first = 0, second] = lengths;
  if (second === undefined) return [Math.min(first, limit)];
  if (first + second <= limit) return [first, second];
  const shorter = Math.min(first, second);
  let kept = [shorter, shorter > limit ? shorter : Math.max(shorter, limit - shorter)];
  if (kept[0]! + kept[1]! > limit) kept = [Math.floor(limit / 2), Math.ceil(limit / 2)];
  return first > second ? kept.reverse() : kept;
}
