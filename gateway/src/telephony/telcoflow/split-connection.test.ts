import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer as createPlain } from "node:http";
import { createServer as createSecure } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type ClientOptions, WebSocket, WebSocketServer } from "ws";
import { issueCertificate, makeAuthority } from "../../../../test/harness/certificates.js";
import { until } from "./fake-provider.js";
import { SplitConnection } from "./split-connection.js";

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** A server, with TLS for `localhost` when `secure`; answers how to reach and trust it. */
async function serverOf(secure: boolean) {
  const folder = await mkdtemp(join(tmpdir(), "callweave-split-"));
  stops.push(() => rm(folder, { recursive: true, force: true }));
  let ca = "";
  let http: ReturnType<typeof createPlain>;
  if (secure) {
    await makeAuthority(folder, "ca");
    await issueCertificate(folder, "ca", "server", { extension: "subjectAltName=DNS:localhost" });
    const read = (name: string) => readFile(join(folder, name), "utf8");
    ca = await read("ca.pem");
    http = createSecure({ cert: await read("server.pem"), key: await read("server.key") });
  } else http = createPlain();
  await new Promise<void>((resolve) => http.listen(0, "localhost", resolve));
  const server = new WebSocketServer({ server: http });
  stops.push(() => {
    for (const socket of server.clients) socket.terminate();
    http.close();
  });
  const { port } = http.address() as AddressInfo;
  return { server, url: `${secure ? "wss" : "ws"}://localhost:${port}`, ca };
}

describe("SplitConnection", () => {
  it.each([false, true])("takes audio past the WebSocket's layers, in order (TLS: %s)", async (secure) => {
    const { server, url, ca } = await serverOf(secure);
    const heard: string[] = [];
    let taken = 0;
    let open = false;
    const connection = new SplitConnection({
      secure,
      maxPayloadBytes: 2 ** 16,
      takes: () => open,
      onBinary: (bytes, start, end) => {
        taken++;
        heard.push(bytes.toString("hex", start, end));
      },
    });
    const options: ClientOptions = { createConnection: connection.open, perMessageDeflate: false, ca };
    const socket = new WebSocket(url, options);
    socket.on("open", () => {
      open = true;
    });
    socket.on("message", (data: Buffer, isBinary) =>
      heard.push(isBinary ? data.toString("hex") : data.toString()),
    );
    let echoed = 0;
    server.on("connection", async (peer) => {
      // One at a time as audio comes, then many at once, text between them.
      for (let n = 0; n < 100; n++) {
        peer.send(Buffer.alloc(961, n));
        if (n % 10 === 9) peer.send(`after ${n}`);
        if (n < 50) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      peer.on("message", () => echoed++);
    });
    await until(() => heard.length === 110, "all of it");
    const expected: string[] = [];
    for (let n = 0; n < 100; n++) {
      expected.push(Buffer.alloc(961, n).toString("hex"));
      if (n % 10 === 9) expected.push(`after ${n}`);
    }
    expect(heard).toEqual(expected);
    // An update of Node or ws that switches it off would otherwise be seen in the CPU alone.
    expect(taken).toBeGreaterThan(90);
    socket.send("through ws");
    await until(() => echoed === 1, "what we send");
    socket.terminate();
  });

  it("lets the stream wait while the WebSocket is paused, without losing or changing the order of anything", async () => {
    const { server, url } = await serverOf(false);
    const heard: string[] = [];
    let open = false;
    const connection = new SplitConnection({
      secure: false,
      maxPayloadBytes: 2 ** 16,
      takes: () => open,
      onBinary: (bytes, start, end) => heard.push(bytes.toString("hex", start, end)),
    });
    const socket = new WebSocket(url, { createConnection: connection.open, perMessageDeflate: false });
    socket.on("message", (data: Buffer) => heard.push(data.toString("hex")));
    socket.on("open", () => {
      open = true;
    });
    let sent = 0;
    server.on("connection", (peer) => {
      for (let n = 0; n < 5_000; n++) {
        const message = Buffer.alloc(1_000);
        message.writeUInt32BE(n);
        peer.send(message, () => sent++);
      }
    });
    await until(() => heard.length > 10, "the first");
    socket.pause();
    const before = heard.length;
    await until(() => sent > before, "more to be sent");
    expect(heard.length).toBe(before);
    socket.resume();
    await until(() => heard.length === 5_000, "all of it");
    expect(heard.map((hex) => Number.parseInt(hex.slice(0, 8), 16))).toEqual(
      Array.from({ length: 5_000 }, (_, n) => n),
    );
    socket.terminate();
  });
});
