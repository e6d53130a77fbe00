/** Errors a user can cause and mend. A message names the place, the value found, the value expected and the remedy. */

/** A bundle is missing, altered or of an unknown format. */
export class BundleError extends Error {
  override readonly name = "BundleError";
}

/** An input is not what the task asks for. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}
