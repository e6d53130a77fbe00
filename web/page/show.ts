/** Renders answers on the page. */

import type { Encoding, Prediction } from "../src/index.js";

/** Prompts for input. */
export function showNothing(pair: boolean): void {
  const hint = document.createElement("span");
  hint.className = "hint";
  hint.textContent = pair ? "Type both texts." : "Type something.";
  element("answer").replaceChildren(hint);
  element("scores").replaceChildren();
  element("time").textContent = "–";
}

/** Shows the label or number, and a bar for each of the top classes. */
export function showPrediction({ label, scores, value }: Prediction): void {
  element("answer").textContent = label ?? number(value!);
  element("answer").classList.toggle("value", value !== null);
  const list = element("scores");
  while (list.children.length > scores.length) list.lastElementChild!.remove();
  while (list.children.length < scores.length) list.append(scoreRow());
  scores.forEach(([name, score], index) => {
    const row = list.children[index] as HTMLElement; // reused, so that bars move rather than flicker
    row.style.setProperty("--share", score.toFixed(4));
    row.children[0]!.textContent = name;
    row.children[1]!.textContent = percent(score);
  });
}

function scoreRow(): HTMLElement {
  const row = document.createElement("li"), name = document.createElement("span");
  const share = document.createElement("span");
  share.className = "share";
  row.append(name, share);
  return row;
}

/** Shows the kept pieces as chips, and notes unknown words and truncation. */
export function showTokens({ pieces, cut }: Encoding): void {
  element("tokens").replaceChildren(
    ...pieces.filter((one) => one.length).map((one) => {
      const list = document.createElement("ol");
      list.append(...one.map(({ token, text: word }) => chip(token, word)));
      return list;
    }),
  );
  const unknown = pieces.flat().filter(isUnknown).length;
  const notes = [
    unknown ? `${unknown} ${unknown === 1 ? "word is" : "words are"} unknown to the model.` : "",
    cut ? `${cut} ${cut === 1 ? "token" : "tokens"} beyond the longest input cut off.` : "",
  ];
  element("note").textContent = notes.filter(Boolean).join(" ");
}

function chip(token: string, word: string): HTMLElement {
  const item = document.createElement("li");
  const unknown = isUnknown({ token });
  item.textContent = unknown ? word : token;
  item.dir = "auto";
  item.classList.toggle("unknown", unknown);
  item.classList.toggle("inside", token.startsWith("##") && token !== word);
  if (unknown) {
    item.title = "unknown to the model";
    item.append(unseen(" (unknown)"));
  }
  return item;
}

function unseen(words: string): HTMLElement {
  const span = document.createElement("span");
  span.className = "unseen";
  span.textContent = words;
  return span;
}

function isUnknown({ token }: { readonly token: string }): boolean {
  return token === "[UNK]";
}

/** Formats a share for people. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Formats a number for people, with six digits whatever its unit. */
export function number(value: number): string {
  return String(Number(value.toPrecision(6)));
}

/** Returns the element with an id that exists on the page. */
export function element<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  return document.getElementById(id) as Kind;
}
