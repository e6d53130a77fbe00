/** Where the files of a bundle come from: memory, the network, or a folder in Node. */

import { BundleError } from "./errors.js";

/** The contents of a bundle's files by name, its URL (of the folder), or in Node the path of its folder. */
export type Source = string | URL | Readonly<Record<string, Uint8Array>>;

/** Reads the files of one bundle. */
export interface Files {
  /**
   * Returns the bytes of a file.
   *
   * @throws BundleError It is missing or not readable.
   */
  read(name: string): Promise<Uint8Array>;
  /** Returns what messages call the file. */
  place(name: string): string;
}

const IN_NODE = typeof process !== "undefined" && typeof process.versions?.node === "string";

/** Returns a reader of the bundle's files; a string is a path in Node unless it begins as a URL does. */
export function files(source: Source): Files {
  if (typeof source === "string") {
    if (/^(https?|file):/.test(source)) return files(new URL(source));
    return IN_NODE ? folder(source) : network(new URL(source, document.baseURI));
  }
  if (source instanceof URL) return source.protocol === "file:" && IN_NODE ? folder(source) : network(source);
  return memory(source);
}

function memory(contents: Readonly<Record<string, Uint8Array>>): Files {
  return {
    place: (name) => name,
    async read(name) {
      if (!Object.hasOwn(contents, name)) throw missing(name);
      return contents[name]!;
    },
  };
}

function network(base: URL): Files {
  const directory = new URL(base);
  if (!directory.pathname.endsWith("/")) directory.pathname += "/";
  const place = (name: string) => new URL(encodeURIComponent(name), directory).href;
  return {
    place,
    async read(name) {
      const response = await fetch(place(name)).catch((error: unknown) => {
        throw unreadable(place(name), error instanceof Error ? error.message : String(error));
      });
      if (response.status === 404) throw missing(place(name));
      if (!response.ok) throw unreadable(place(name), `HTTP ${response.status}`);
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

function folder(path: string | URL): Files {
  const place = (name: string) => `${path instanceof URL ? decodeURIComponent(path.pathname) : path}/${name}`;
  return {
    place,
    async read(name) {
      const { readFile } = await import("node:fs/promises");
      try {
        return new Uint8Array(await readFile(place(name)));
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? String(error);
        throw code === "ENOENT" ? missing(place(name)) : unreadable(place(name), code);
      }
    },
  };
}

function missing(place: string): BundleError {
  return new BundleError(`${place}: missing; copy the whole bundle, or build it with \`eibert run\``);
}

function unreadable(place: string, reason: string): BundleError {
  return new BundleError(`${place}: not readable (${reason}); check the path and its permissions`);
}
