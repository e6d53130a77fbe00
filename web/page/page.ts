/** The page: types become answers. It loads the bundle beside it and shows what the model reads and says. */

import { type Encoding, Model, type Prediction, type Text } from "../src/index.js";

const WAIT_MS = 60; // after the last key, so that fast typing computes once
const SAY_AFTER_MS = 900; // a screen reader hears an answer once typing pauses
const CLASSES = 5;

const status = element("status");
const text = element<HTMLTextAreaElement>("text");
const textB = element<HTMLTextAreaElement>("text-b");

async function load(): Promise<Model | null> {
  try {
    const wasm = new URL("ort-wasm-simd-threaded.wasm", document.baseURI);
    const found = await Model.load(new URL("bundle/", document.baseURI), { wasm });
    await found.predict([found.bundle.pair ? ["", ""] : ""]); // the first prediction is slow
    return found;
  } catch (error) {
    status.textContent = error instanceof Error ? error.message : String(error);
    status.classList.add("error");
    status.setAttribute("role", "alert");
    document.documentElement.dataset["failed"] = "yes";
    return null;
  }
}

function start(model: Model): void {
  const { bundle } = model;
  document.title = `${bundle.name} · eibert`;
  element("name").textContent = bundle.name;
  element("task").textContent = task(model);
  element("size").textContent = `${bundle.sizeBytes.toLocaleString("en")} bytes`;
  status.textContent = "";
  if (bundle.pair) {
    element("text-name").textContent = "First text";
    element("second").hidden = false;
  }
  let waiting = 0;
  for (const area of [text, textB]) {
    area.disabled = false;
    area.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = window.setTimeout(() => void answers.show(), WAIT_MS);
    });
  }
  const answers = new Answers(model);
  document.documentElement.dataset["ready"] = "yes";
  text.focus();
  void answers.show(); // a browser may have kept what was typed before
}

/** Shows the answer to what stands in the inputs; one prediction at a time, the last input wins. */
class Answers {
  #busy = false;
  #again = false;
  #saying = 0;

  constructor(private readonly model: Model) {}

  async show(): Promise<void> {
    this.#again = true;
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#again) {
        this.#again = false;
        await this.#once();
      }
    } finally {
      this.#busy = false;
    }
  }

  async #once(): Promise<void> {
    const { pair } = this.model.bundle;
    const input: Text = pair ? [text.value, textB.value] : text.value;
    const empty = pair ? !text.value.trim() || !textB.value.trim() : !text.value.trim();
    const encoding = pair ? this.model.tokenizer.encode(text.value, textB.value) : this.model.tokenizer.encode(text.value);
    if (empty) {
      showNothing(pair);
      this.#say("");
    } else {
      const begun = performance.now();
      const [found] = await this.model.predict([input], CLASSES);
      element("time").textContent = `${(performance.now() - begun).toFixed(1)} ms`;
      showPrediction(found!);
      this.#say(found!.value === null ? `${found!.label}, ${percent(found!.score)}` : number(found!.value));
    }
    showTokens(encoding);
  }

  #say(answer: string): void {
    clearTimeout(this.#saying);
    this.#saying = window.setTimeout(() => (element("said").textContent = answer), SAY_AFTER_MS);
  }
}

function showNothing(pair: boolean): void {
  const hint = document.createElement("span");
  hint.className = "hint";
  hint.textContent = pair ? "Type both texts." : "Type something.";
  element("answer").replaceChildren(hint);
  element("scores").replaceChildren();
  element("time").textContent = "–";
}

function showPrediction({ label, scores, value }: Prediction): void {
  element("answer").textContent = label ?? number(value!);
  element("answer").classList.toggle("value", value !== null);
  const list = element("scores");
  while (list.children.length > scores.length) list.lastElementChild!.remove();
  while (list.children.length < scores.length) list.append(scoreRow());
  scores.forEach(([name, score], index) => {
    const row = list.children[index] as HTMLElement; // kept, so that bars move rather than flicker
    row.style.setProperty("--share", score.toFixed(4));
    row.children[0]!.textContent = name;
    row.children[1]!.textContent = percent(score);
  });
}

function scoreRow(): HTMLElement {
  const row = document.createElement("li"), name = document.createElement("span"), share = document.createElement("span");
  share.className = "share";
  row.append(name, share);
  return row;
}

function showTokens({ pieces, cut }: Encoding): void {
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

function task({ bundle: { pair, labels } }: Model): string {
  const inputs = pair ? "pairs of texts" : "texts";
  return labels.length ? `${inputs}, ${labels.length} classes` : `${inputs}, a number`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function number(value: number): string {
  return value.toFixed(3);
}

function element<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  return document.getElementById(id) as Kind;
}

const model = await load();
if (model) start(model);
