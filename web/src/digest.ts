/** SHA-256 through WebCrypto, in browsers and in Node. */

import { BundleError } from "./errors.js";

/** Returns the digest in hexadecimal. */
export async function sha256(content: Uint8Array): Promise<string> {
  const digest = await (await subtle()).digest("SHA-256", content as Uint8Array<ArrayBuffer>);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function subtle(): Promise<SubtleCrypto> {
  if (globalThis.crypto?.subtle) return globalThis.crypto.subtle;
  if (typeof process !== "undefined") return (await import("node:crypto")).webcrypto.subtle as SubtleCrypto; // Node 18
  throw new BundleError("this page cannot check the bundle: open it over https, or from localhost");
}
