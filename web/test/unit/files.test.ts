import assert from "node:assert/strict";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { files, type Files } from "../../src/files.js";

const MOST = 1 << 20;

/** Serves the same response to every request made by `use`. */
async function served(answer: (response: ServerResponse) => void, use: (found: Files) => Promise<unknown>): Promise<void> {
  const server = createServer((_, response) => answer(response));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  try {
    await use(files(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`));
  } finally {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
}

const refused = (found: Files, told: RegExp) =>
  assert.rejects(found.read("model.onnx", MOST), { name: "BundleError", message: told });

test("a file from the network is read whole", () =>
  served(
    (response) => {
      response.write(Buffer.alloc(3, 7));
      setTimeout(() => response.end(Buffer.alloc(MOST - 3, 8)), 20);
    },
    async (found) => {
      const content = await found.read("model.onnx", MOST);
      assert.equal(content.length, MOST);
      assert.deepEqual([content[2], content[3], content[MOST - 1]], [7, 8, 8]);
    },
  ));

test("an empty file from the network is empty", () =>
  served(
    (response) => response.end(),
    async (found) => assert.equal((await found.read("model.onnx", MOST)).length, 0),
  ));

test("a body that never ends is broken off", async () => {
  let sent = 0;
  await served(
    (response) => {
      const more = () => {
        while (!response.destroyed) {
          sent += MOST / 4;
          if (!response.write(Buffer.alloc(MOST / 4))) return;
        }
      };
      response.on("drain", more);
      more();
    },
    (found) => refused(found, /model\.onnx: over 1048576 bytes, more than any bundle has/),
  );
  assert.ok(sent < 64 * MOST, `${sent} bytes were sent`); // socket buffers hold the rest
});

test("a length said to be larger is refused before the body comes", () =>
  served(
    (response) => {
      response.writeHead(200, { "Content-Length": String(MOST + 1) });
      response.flushHeaders(); // no body follows: waiting for it would hang
    },
    (found) => refused(found, /over 1048576 bytes/),
  ));

test("a body that breaks off is told as not readable", () =>
  served(
    (response) => {
      response.writeHead(200, { "Content-Length": "100" });
      response.write(Buffer.alloc(10), () => response.destroy());
    },
    (found) => refused(found, /model\.onnx: not readable/),
  ));
