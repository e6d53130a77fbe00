/** Bundles the page into `flows/web`, from where `eibert demo` serves it, and the tests into `build/test`. */

import { copyFileSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const RUNTIME = "ort-wasm-simd-threaded.wasm";

function emptied(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

const target = emptied(at("../flows/web/"));
await build({
  entryPoints: [at("page/page.ts")],
  outdir: target,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  external: ["node:*"], // only imported in Node
  legalComments: "eof",
  logLevel: "warning",
});
for (const name of ["index.html", "page.css"]) copyFileSync(at(`page/${name}`), target + name);
copyFileSync(at(`node_modules/onnxruntime-web/dist/${RUNTIME}`), target + RUNTIME);

const tests = readdirSync(at("test/"), { recursive: true }).map(String);
await build({
  entryPoints: tests.filter((name) => name.endsWith(".ts")).map((name) => at(`test/${name}`)),
  outdir: emptied(at("build/test/")),
  outbase: at("test/"),
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node18",
  packages: "external",
  sourcemap: "inline",
  logLevel: "warning",
});
