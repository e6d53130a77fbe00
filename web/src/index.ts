/** Inference with eibert bundles in browsers and in Node. */

export type { Bundle } from "./bundle.js";
export { BundleError, ShapeError } from "./errors.js";
export type { Source } from "./files.js";
export { Model, type Options, type Prediction, type Text } from "./model.js";
export { type Encoding, type Piece, type Reading, Tokenizer } from "./tokenizer.js";
