import { once } from "node:events";
import { connect } from "node:http2";
import type { Duplex, Readable, Writable } from "node:stream";
import { gzipSync } from "node:zlib";
import {
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status,
} from "@grpc/grpc-js";
import { afterEach, describe, expect, it, vi } from "vitest";
import { directWrite, directWriteAll, readDirectly } from "./direct-stream.js";

const MAX_BYTES = 1000;
type Echo = ServerDuplexStream<Buffer, Buffer>;

/** Messages that went grpc-js's own way to their bytes. */
let serialized = 0;

const method: MethodDefinition<Buffer, Buffer> = {
  path: "/test.Echo/Talk",
  requestStream: true,
  responseStream: true,
  requestSerialize: (value) => value,
  requestDeserialize: (bytes) => {
    if (bytes.toString() === "bad") throw new Error("bad");
    return bytes;
  },
  responseSerialize: (value) => {
    serialized++;
    return value;
  },
  responseDeserialize: (bytes) => bytes,
};

/** The HTTP/2 stream of a call. */
function http2Of(call: Echo): Readable {
  let inner = Reflect.get(call, "call");
  while ("nextCall" in inner) inner = inner.nextCall;
  return inner.stream;
}

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** The port of a server with that handler. */
async function served(handler: (call: Echo) => void): Promise<number> {
  const server = new Server({ "grpc.max_receive_message_length": MAX_BYTES });
  server.addService({ talk: method }, { talk: handler });
  stops.push(() => server.forceShutdown());
  return new Promise((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, at) =>
      error ? reject(error) : resolve(at),
    ),
  );
}

/** A server with that handler, and a call to it. */
async function talk(handler: (call: Echo) => void, options = {}) {
  const port = await served(handler);
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), options);
  stops.push(() => client.close());
  const call = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    new Metadata(),
  );
  const heard: string[] = [];
  call.on("data", (data: Buffer) => heard.push(data.toString()));
  const ended = new Promise<{ code: number; details: string }>((resolve) => {
    call.on("status", resolve);
    call.on("error", () => {});
  });
  return { call, heard, ended };
}

/** Says back what it hears, directly; `direct` is what readDirectly answered. */
function echo(encode?: (message: Buffer, before: number) => Buffer) {
  const seen = { direct: undefined as boolean | undefined, asData: 0, taken: [] as string[] };
  const handler = (call: Echo) => {
    const waiting: Buffer[] = [];
    const write = directWrite(call, encode);
    let busy = false;
    let over = false;
    const next = (): void => {
      const message = busy ? undefined : waiting.shift();
      if (message) {
        busy = true;
        write(message, () => {
          busy = false;
          next();
        });
      } else if (over && !busy) call.end();
    };
    const take = (message: Buffer) => {
      seen.taken.push(message.toString());
      waiting.push(message);
      next();
    };
    call.on("data", (message: Buffer) => {
      seen.asData++;
      take(message);
    });
    call.once("end", () => {
      over = true;
      next();
    });
    seen.direct = readDirectly(call, take);
  };
  return { seen, handler };
}

describe("readDirectly and directWrite", () => {
  it("are what this version of grpc-js is read and written with", async () => {
    const { seen, handler } = echo();
    const { call, heard, ended } = await talk(handler);
    const sent = Array.from({ length: 500 }, (_, i) => `${i} ${"x".repeat(i % 300)}`);
    for (const text of sent) call.write(Buffer.from(text));
    call.end();
    expect(await ended).toMatchObject({ code: status.OK });
    expect(seen).toMatchObject({ direct: true, asData: 0 });
    expect(heard).toEqual(sent);
  });

  it("writes what is encoded for it behind gRPC's prefix, from the first message on", async () => {
    const { handler } = echo((message, before) => Buffer.concat([Buffer.alloc(before, 0xff), message]));
    const { call, heard, ended } = await talk(handler);
    const sent = Array.from({ length: 300 }, (_, i) => "x".repeat(i));
    serialized = 0;
    for (const text of sent) call.write(Buffer.from(text));
    call.end();
    expect(await ended).toMatchObject({ code: status.OK });
    expect(heard).toEqual(sent);
    expect(serialized).toBe(0);
  });

  it("ends the call at a message that cannot be encoded, as grpc-js does", async () => {
    const { handler } = echo((message, before) => {
      if (message.toString() === "odd") throw new Error("odd");
      return Buffer.concat([Buffer.alloc(before), message]);
    });
    const { call, heard, ended } = await talk(handler);
    for (const text of ["first", "odd", "last"]) call.write(Buffer.from(text));
    expect(await ended).toMatchObject({ code: status.INTERNAL, details: "Error serializing response" });
    expect(heard).toEqual(["first"]);
  });

  it("asks for each message before it is read, and reads what is not taken", async () => {
    const taken: string[] = [];
    const { call, ended } = await talk((at) => {
      at.on("data", () => {});
      at.once("end", () => at.end());
      readDirectly(
        at,
        (message) => taken.push(`read ${message}`),
        (bytes, from, to) => {
          const text = bytes.toString("utf8", from, to);
          if (text.startsWith("r")) return false;
          return taken.push(text) > 0;
        },
      );
    });
    // The first bytes would be unreadable; taken before, nobody reads them.
    for (const text of ["bad", "", "r1", "two", "r2"]) call.write(Buffer.from(text));
    call.end();
    expect(await ended).toMatchObject({ code: status.OK });
    expect(taken).toEqual(["bad", "", "read r1", "two", "read r2"]);
  });

  it("hands over what comes without the stream in between, and in order while that is paused", async () => {
    const sent = Array.from({ length: 200 }, (_, i) => `${i}`);
    const taken: string[] = [];
    let http2: Readable | undefined;
    let throughStream = 0;
    const { call, ended } = await talk((at) => {
      at.on("data", () => {});
      at.once("end", () => at.end());
      http2 = http2Of(at);
      http2.on("data", () => throughStream++);
      readDirectly(at, (message) => taken.push(message.toString()));
    });
    const half = async (from: number, to: number) => {
      for (const text of sent.slice(from, to)) {
        await new Promise((resolve) => call.write(Buffer.from(text), resolve));
      }
    };
    await half(0, 100);
    await vi.waitFor(() => expect(taken.length).toBe(100), 10_000);
    // What came before the handler was there waits in the stream.
    expect(throughStream).toBeLessThan(10);
    http2?.pause();
    await half(100, 150);
    await vi.waitFor(() => expect(http2?.readableLength).toBeGreaterThan(0), 10_000);
    expect(taken.length).toBe(100);
    http2?.resume();
    await half(150, 200);
    call.end();
    expect(await ended).toMatchObject({ code: status.OK });
    expect(taken).toEqual(sent);
    expect(throughStream).toBeGreaterThan(0);
  });

  it("leaves a message that is too large, and what it refuses, to grpc-js", async () => {
    const { seen, handler } = echo();
    const { call, ended } = await talk(handler);
    call.write(Buffer.from("first"));
    call.write(Buffer.alloc(MAX_BYTES + 1));
    expect(await ended).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: `Received message larger than max (${MAX_BYTES + 1} vs ${MAX_BYTES})`,
    });
    expect(seen.taken).toEqual(["first"]);
  });

  it("takes a message of the largest size", async () => {
    const { seen, handler } = echo();
    const { call, ended } = await talk(handler);
    call.write(Buffer.alloc(MAX_BYTES, "x"));
    call.end();
    expect(await ended).toMatchObject({ code: status.OK });
    expect(seen).toMatchObject({ direct: true, asData: 0 });
  });

  it("ends the call at a message that cannot be read", async () => {
    const { seen, handler } = echo();
    const { call, ended } = await talk(handler);
    for (const text of ["first", "bad", "last"]) call.write(Buffer.from(text));
    expect(await ended).toMatchObject({ code: status.INTERNAL, details: "Error deserializing request" });
    expect(seen.taken).toEqual(["first"]);
  });

  it("reads on behind a message that somebody fails at", async () => {
    const taken: string[] = [];
    const unhandled = new Promise((resolve) => process.once("unhandledRejection", resolve));
    const { call, ended } = await talk((at) => {
      at.on("data", () => {});
      at.once("end", () => at.end());
      readDirectly(at, (message) => {
        taken.push(message.toString());
        if (taken.length === 1) throw new Error("no good");
      });
    });
    for (const text of ["first", "second", "third"]) call.write(Buffer.from(text));
    call.end();
    expect(await ended).toMatchObject({ code: status.OK });
    expect(taken).toEqual(["first", "second", "third"]);
    expect(String(await unhandled)).toContain("no good");
  });

  it("does not touch a stream that is compressed", async () => {
    const { seen, handler } = echo();
    const { call, heard, ended } = await talk(handler, { "grpc.default_compression_algorithm": 2 });
    const text = "compressible ".repeat(50);
    expect(gzipSync(text).length).toBeLessThan(text.length);
    call.write(Buffer.from(text));
    call.end();
    expect(await ended).toMatchObject({ code: status.OK });
    expect(seen).toMatchObject({ direct: false, asData: 1 });
    expect(heard).toEqual([text]);
  });

  it("takes nothing more once the call is cancelled", async () => {
    const taken: string[] = [];
    const { call, ended } = await talk((at) => {
      at.on("data", () => {});
      at.on("error", () => {});
      const direct = readDirectly(at, (message) => {
        taken.push(message.toString());
        at.emit("error", Object.assign(new Error("no more"), { code: status.ABORTED, details: "no more" }));
      });
      taken.push(`direct ${direct}`);
    });
    call.write(Buffer.from("one"));
    expect(await ended).toMatchObject({ code: status.ABORTED });
    expect(taken).toEqual(["direct true", "one"]);
  });

  it("sees a client leave", async () => {
    let left = false;
    let came = false;
    const { call } = await talk((at) => {
      at.on("data", () => {});
      readDirectly(at, () => {
        came = true;
      });
      at.once("cancelled", () => {
        left = true;
      });
    });
    call.on("error", () => {});
    call.write(Buffer.from("one"));
    await vi.waitFor(() => expect(came).toBe(true), 10_000);
    call.cancel();
    await vi.waitFor(() => expect(left).toBe(true), 10_000);
  });

  it("does nothing with an inside it does not know", () => {
    const written: unknown[] = [];
    const stream = { call: { nextCall: {} }, write: (message: unknown) => written.push(message) };
    expect(readDirectly(stream as unknown as Echo, () => {})).toBe(false);
    const encode = () => Buffer.from("of its own");
    directWrite(stream as unknown as Echo, encode)(Buffer.from("a"), () => {});
    expect(written).toEqual([Buffer.from("a")]);
  });
});

describe("directWriteAll", () => {
  const texts = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => `${from + i} ${"x".repeat((from + i) % 300)}`);

  it("writes messages in one go, in order, from the first on", async () => {
    serialized = 0;
    let chunks = 0;
    const { call, heard, ended } = await talk((at) => {
      const write = directWriteAll(at);
      const http2 = http2Of(at) as Readable & Writable;
      const own = http2.write;
      http2.write = ((...args: Parameters<typeof own>) => {
        chunks++;
        return own.apply(http2, args);
      }) as typeof own;
      const buffers = (from: number, to: number) => texts(from, to).map((text) => Buffer.from(text));
      write(buffers(0, 1), () => write(buffers(1, 200), () => write(buffers(200, 203), () => at.end())));
    });
    call.end();
    expect(await ended).toMatchObject({ code: status.OK });
    expect(heard).toEqual(texts(0, 203));
    expect(serialized).toBe(0);
    expect(chunks).toBe(3);
  });

  it("writes nothing behind a status that waits for a client that does not read", async () => {
    let write: ReturnType<typeof directWriteAll> | undefined;
    let http2: Duplex | undefined;
    const port = await served((at) => {
      write = directWriteAll(at);
      http2 = http2Of(at) as Duplex;
      write([Buffer.alloc(1_000_000)], () => {});
    });
    const session = connect(`http://127.0.0.1:${port}`);
    stops.push(() => session.destroy());
    const request = session.request({
      ":method": "POST",
      ":path": method.path,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": "50m",
    });
    request.end(Buffer.from([0, 0, 0, 0, 1, 7]));
    await vi.waitFor(() => expect(http2?.writableEnded).toBe(true), 10_000);
    write?.([Buffer.from("late")], () => {});
    const [trailers] = await Promise.all([once(request, "trailers"), once(request.resume(), "close")]);
    expect(trailers[0]).toMatchObject({ "grpc-status": String(status.DEADLINE_EXCEEDED) });
  });

  it("writes one by one with an inside it does not know, and is done after the last", () => {
    const written: string[] = [];
    const dones: unknown[] = [];
    const stream = {
      call: { nextCall: {} },
      write: (message: Buffer, callback: unknown) => {
        written.push(message.toString());
        dones.push(callback);
        return true;
      },
    };
    const done = () => {};
    directWriteAll(stream as unknown as Echo)([Buffer.from("a"), Buffer.from("b")], done);
    expect(written).toEqual(["a", "b"]);
    expect(dones.map((one) => one === done)).toEqual([false, true]);
  });
});
