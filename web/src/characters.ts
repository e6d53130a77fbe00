/** BERT's character normalization, from the measured tables in `unicode.ts` rather than the engine's Unicode data. */

import * as tables from "./unicode.js";

const POINTS = 0x110000;
const REMOVED = 1, SPACE = 2, CHINESE = 4, NONSPACING = 8, PUNCTUATION = 16;
const HANGUL = 0xac00, HANGUL_COUNT = 11172, LEAD = 0x1100, VOWEL = 0x1161, TRAIL = 0x11a7, VOWELS = 21, TRAILS = 28;
const REPLACEMENT = 0xfffd;
const BLANK = 0x20;

const kinds = new Uint8Array(POINTS);
mark(tables.REMOVED, REMOVED);
mark(tables.SPACES, SPACE);
mark(tables.CHINESE, CHINESE);
mark(tables.NONSPACING, NONSPACING);
mark(tables.PUNCTUATION, PUNCTUATION);
const classes = new Map<number, number>();
each(tables.COMBINING, (point, value) => classes.set(point, value));
const lowercase = mapping(tables.LOWERCASE, tables.LOWERCASE_MANY);
const decomposed = mapping(tables.DECOMPOSED, tables.DECOMPOSED_MANY);

/** Whether the character is a word of its own. */
export function isPunctuation(point: number): boolean {
  return (kinds[point]! & PUNCTUATION) !== 0;
}

/** Returns a text's code points without control characters, with uniform spaces and spaces around CJK characters. */
export function cleaned(text: string): number[] {
  const result: number[] = [];
  for (const character of text) {
    const found = character.codePointAt(0)!;
    const point = found >= 0xd800 && found < 0xe000 ? REPLACEMENT : found; // a lone surrogate
    const kind = kinds[point]!;
    if (kind & REMOVED) continue;
    if (kind & SPACE) result.push(BLANK);
    else if (kind & CHINESE) result.push(BLANK, point, BLANK);
    else result.push(point);
  }
  return result;
}

/** Lowercases each code point by itself, independent of context. */
export function lowered(points: readonly number[]): number[] {
  const result: number[] = [];
  for (const point of points) {
    const lower = lowercase.get(point);
    if (lower === undefined) result.push(point);
    else result.push(...lower);
  }
  return result;
}

/** Returns the code points in NFD, decomposed and in canonical order, without nonspacing marks. */
export function withoutAccents(points: readonly number[]): number[] {
  const result: number[] = [];
  for (const point of points) {
    if (point < 0xc0) result.push(point);
    else if (point >= HANGUL && point < HANGUL + HANGUL_COUNT) result.push(...syllable(point - HANGUL));
    else result.push(...(decomposed.get(point) ?? [point]));
  }
  order(result);
  return result.filter((point) => (kinds[point]! & NONSPACING) === 0);
}

/** Sorts each run of combining marks by class, in place and stably. */
function order(points: number[]): void {
  for (let start = 0; start < points.length; start++) {
    if (!classes.has(points[start]!)) continue;
    let end = start + 1;
    while (end < points.length && classes.has(points[end]!)) end++;
    if (end - start > 1) {
      const run = points.slice(start, end).sort((a, b) => classes.get(a)! - classes.get(b)!);
      for (let at = start; at < end; at++) points[at] = run[at - start]!;
    }
    start = end;
  }
}

function syllable(index: number): number[] {
  const parts = [
    LEAD + Math.floor(index / (VOWELS * TRAILS)),
    VOWEL + Math.floor((index % (VOWELS * TRAILS)) / TRAILS),
  ];
  return index % TRAILS ? [...parts, TRAIL + (index % TRAILS)] : parts;
}

function mark(table: string, kind: number): void {
  each(table, (point) => (kinds[point]! |= kind));
}

/** Calls back for each code point in a table of runs, `gap count value` in base 36. */
function each(table: string, take: (point: number, value: number) => void): void {
  let point = 0;
  for (const run of table.split(",")) {
    const [gap, count, value = 0] = run.split(" ").map((digits) => Number.parseInt(digits, 36)) as [number, number];
    point += gap;
    for (const end = point + count; point < end; point++) take(point, value);
  }
}

function mapping(one: string, many: string): Map<number, number[]> {
  const result = new Map<number, number[]>();
  each(one, (point, difference) => result.set(point, [point + difference]));
  for (const row of many.split(",")) {
    const [point, ...to] = row.split(" ").map((digits) => Number.parseInt(digits, 36));
    result.set(point!, to);
  }
  return result;
}
