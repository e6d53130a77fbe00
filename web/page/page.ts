/** The demo page: answers as you type. Loads the bundle next to it and shows the model's tokens and predictions. */

import { Model, type Text } from "../src/index.js";
import { element, number, percent, showNothing, showPrediction, showTokens } from "./show.js";

const WAIT_MS = 60; // debounce: fast typing triggers one prediction
const SAY_AFTER_MS = 900; // announce an answer to screen readers once typing pauses
const CLASSES = 5;

const status = element("status");
const text = element<HTMLTextAreaElement>("text");
const textB = element<HTMLTextAreaElement>("text-b");

async function load(): Promise<Model | null> {
  try {
    const wasm = new URL("ort-wasm-simd-threaded.wasm", document.baseURI);
    const found = await Model.load(new URL("bundle/", document.baseURI), { wasm });
    await found.predict([found.bundle.pair ? ["", ""] : ""]); // warm-up: the first prediction is slow
    return found;
  } catch (error) {
    fail(error);
    return null;
  }
}

/** Shows only the error. */
function fail(error: unknown): void {
  status.textContent = error instanceof Error ? error.message : String(error);
  status.classList.add("error");
  status.setAttribute("role", "alert");
  document.documentElement.dataset["failed"] = "yes";
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
  void answers.show(); // the browser may have restored earlier input
}

/** Shows the answer to the current inputs; runs one prediction at a time, the latest input wins. */
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
    } catch (error) {
      fail(error);
    } finally {
      this.#busy = false;
    }
  }

  async #once(): Promise<void> {
    const { pair } = this.model.bundle;
    const input: Text = pair ? [text.value, textB.value] : text.value;
    const empty = pair ? !text.value.trim() || !textB.value.trim() : !text.value.trim();
    const { tokenizer } = this.model;
    const encoding = pair ? tokenizer.encode(text.value, textB.value) : tokenizer.encode(text.value);
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

function task({ bundle: { pair, labels } }: Model): string {
  const inputs = pair ? "pairs of texts" : "texts";
  return labels.length ? `${inputs}, ${labels.length} classes` : `${inputs}, a number`;
}

const model = await load();
if (model) start(model);
