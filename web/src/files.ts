/** Sources of a bundle's files: memory, the network, or a folder in Node. */

import { BundleError } from "./errors.js";

/** The contents of a bundle's files by name, the URL of its folder, or in Node the path of its folder. */
export type Source = string | URL | Readonly<Record<string, Uint8Array>>;

/** Reads the files of one bundle. */
export interface Files {
  /**
   * Returns the bytes of a file, up to a limit.
   *
   * @throws BundleError The file is missing, unreadable or larger.
   */
  read(name: string, most: number): Promise<Uint8Array>;
  /** Returns the file's name for messages. */
  place(name: string): string;
}

const IN_NODE = typeof process !== "undefined" && typeof process.versions?.node === "string";

/** Returns a reader of the bundle's files; in Node, a string is a path unless it starts like a URL. */
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
    async read(name, most) {
      if (!Object.hasOwn(contents, name)) throw missing(name);
      return bounded(contents[name]!, name, most);
    },
  };
}

function network(base: URL): Files {
  const directory = new URL(base);
  if (!directory.pathname.endsWith("/")) directory.pathname += "/";
  const place = (name: string) => new URL(encodeURIComponent(name), directory).href;
  return {
    place,
    async read(name, most) {
      const response = await fetch(place(name)).catch((error: unknown) => {
        throw unreadable(place(name), error instanceof Error ? error.message : String(error));
      });
      if (response.status === 404) throw missing(place(name));
      if (!response.ok) throw unreadable(place(name), `HTTP ${response.status}`);
      return body(response, place(name), most);
    },
  };
}

/** Returns the body of a response, aborting as soon as it exceeds the limit, whatever its Content-Length. */
async function body(response: Response, place: string, most: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  try {
    if (Number(response.headers.get("Content-Length")) > most) throw tooLarge(place, most);
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
      size += next.value.length;
      if (size > most) throw tooLarge(place, most);
      parts.push(next.value);
    }
  } catch (error) {
    await reader?.cancel().catch(() => undefined);
    if (error instanceof BundleError) throw error;
    throw unreadable(place, error instanceof Error ? error.message : String(error));
  }
  const content = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    content.set(part, at);
    at += part.length;
  }
  return content;
}

function folder(path: string | URL): Files {
  const place = (name: string) => `${path instanceof URL ? decodeURIComponent(path.pathname) : path}/${name}`;
  return {
    place,
    async read(name, most) {
      const { readFile, stat } = await import("node:fs/promises");
      try {
        const found = await stat(place(name)); // reading a pipe or a device might never end
        if (!found.isFile()) throw unreadable(place(name), "no regular file");
        if (found.size > most) throw tooLarge(place(name), most);
        return bounded(new Uint8Array(await readFile(place(name))), place(name), most);
      } catch (error) {
        if (error instanceof BundleError) throw error;
        const code = (error as NodeJS.ErrnoException).code ?? String(error);
        throw code === "ENOENT" ? missing(place(name)) : unreadable(place(name), code);
      }
    },
  };
}

function bounded(content: Uint8Array, place: string, most: number): Uint8Array {
  if (content.length > most) throw tooLarge(place, most);
  return content;
}

function tooLarge(place: string, most: number): BundleError {
  return new BundleError(`${place}: over ${most} bytes, more than any bundle has; copy the bundle again`);
}

function missing(place: string): BundleError {
  return new BundleError(`${place}: missing; copy the whole bundle, or build it with \`eibert run\``);
}

function unreadable(place: string, reason: string): BundleError {
  return new BundleError(`${place}: not readable (${reason}); check the path and its permissions`);
}
