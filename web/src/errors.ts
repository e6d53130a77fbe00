/** Errors that users can cause and fix. Messages name the place, the value found, the value expected and the remedy. */

/** A bundle is missing, altered or of an unknown format. */
export class BundleError extends Error {
  override readonly name = "BundleError";
}

/** An input does not have the shape that the task requires. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}
