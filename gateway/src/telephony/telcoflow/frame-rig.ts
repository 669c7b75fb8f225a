import type { EventEmitter } from "node:events";
import fc from "fast-check";
import * as ws from "ws";
import { FrameSplitter } from "./frame-splitter.js";

/** Streams of WebSocket frames, right and wrong, for unit tests and the fuzzer. */

/** The reader of the protocol in ws, which its types do not name. */
export function newReceiver(options: { isServer: boolean; maxPayload: number }) {
  const { Receiver } = ws as unknown as {
    Receiver: new (options: object) => EventEmitter & { write(bytes: Buffer): void };
  };
  return new Receiver({ ...options, allowSynchronousEvents: true });
}

/** Largest message that is read. */
export const MAX_PAYLOAD_BYTES = 2_000;
/** Before the first frame. */
export const UPGRADED = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

/** A frame as a server sends it; bit by bit, so that it can be wrong. */
export interface Frame {
  readonly first: number;
  readonly payload: Uint8Array;
  /** Announced instead of the payload's own length. */
  readonly length?: number;
  readonly masked?: boolean;
}

/** Its bytes. */
export function encode({ first, payload, length = payload.length, masked = false }: Frame): Buffer {
  const mask = masked ? 0x80 : 0;
  if (length < 126) return Buffer.concat([Uint8Array.of(first, mask | length), payload]);
  if (length < 65_536)
    return Buffer.concat([Uint8Array.of(first, mask | 126, length >> 8, length & 0xff), payload]);
  const header = Buffer.alloc(10);
  header[0] = first;
  header[1] = mask | 127;
  header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, payload]);
}

/** A binary message in one frame. */
export const binary = (payload: Uint8Array): Frame => ({ first: 0x82, payload });
/** A text message. */
const text = (words: string): Frame => ({ first: 0x81, payload: Buffer.from(words) });

/** What ws makes of bytes, until it finds an error. */
class Reader {
  readonly log: string[] = [];
  failed = false;
  private readonly receiver = newReceiver({ isServer: false, maxPayload: MAX_PAYLOAD_BYTES });

  constructor() {
    const tell = (kind: string) => (data: Buffer) => void this.log.push(`${kind} ${data.toString("hex")}`);
    this.receiver.on("message", (data: Buffer, isBinary: boolean) =>
      tell(isBinary ? "binary" : "text")(data),
    );
    this.receiver.on("ping", tell("ping"));
    this.receiver.on("pong", tell("pong"));
    this.receiver.on("conclude", (code: number) => void this.log.push(`close ${code}`));
    this.receiver.on("error", () => {
      this.failed = true;
    });
  }

  write(bytes: Buffer): void {
    if (bytes.length > 0) this.receiver.write(bytes);
  }

  async settled(): Promise<this> {
    await new Promise(setImmediate);
    return this;
  }
}

/** The same bytes, cut at these places, through the splitter and what it hands on through ws. */
export async function split(bytes: Buffer, cuts: readonly number[], takes: () => boolean = () => true) {
  const reader = new Reader();
  let taken = 0;
  let headLeft = UPGRADED.length;
  const splitter = new FrameSplitter(MAX_PAYLOAD_BYTES, {
    takesBinary: takes,
    onBinary: (from, start, end) => {
      taken++;
      reader.log.push(`binary ${from.toString("hex", start, end)}`);
    },
    onRest: (rest) => {
      const n = Math.min(headLeft, rest.length);
      headLeft -= n;
      reader.write(Buffer.from(rest.subarray(n)));
    },
  });
  const all = Buffer.concat([Buffer.from(UPGRADED), bytes]);
  const ends = [...new Set([...cuts.map((cut) => cut % (all.length + 1)), all.length])].sort((a, b) => a - b);
  let at = 0;
  for (const end of ends) {
    // One memory for all pieces, as it is read.
    const piece = Buffer.from(all.subarray(at, end));
    if (piece.length > 0) splitter.push(piece);
    piece.fill(0xee);
    at = end;
  }
  return { reader: await reader.settled(), taken };
}

/** The same bytes through ws alone. */
async function plain(bytes: Buffer): Promise<Reader> {
  const reader = new Reader();
  reader.write(bytes);
  return reader.settled();
}

const payload = fc.uint8Array({ maxLength: 200 });
/** What is heard of frames that come in pieces through the splitter, and of the same through ws alone. */
export async function bothWays(frames: readonly Frame[], cuts: readonly number[]) {
  const bytes = Buffer.concat(frames.map(encode));
  const [{ reader }, expected] = [await split(bytes, cuts), await plain(bytes)];
  return { reader, expected };
}

/** What a provider may send, a message at a time. */
export const good: fc.Arbitrary<Frame[]> = fc.oneof(
  { weight: 5, arbitrary: payload.map((bytes) => [binary(bytes)]) },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ minLength: 126, maxLength: 2_000 }).map((bytes) => [binary(bytes)]),
  },
  { weight: 2, arbitrary: fc.string({ maxLength: 200, unit: "grapheme" }).map((words) => [text(words)]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(0x89, 0x8a), fc.uint8Array({ maxLength: 125 }))
      .map(([first, bytes]) => [{ first, payload: bytes }]),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(payload, payload, payload).map(([a, b, c]) => [
      { first: 0x02, payload: a },
      { first: 0x89, payload: b.subarray(0, 100) },
      { first: 0x00, payload: b },
      { first: 0x80, payload: c },
    ]),
  },
);
/** Any header at all, any length announced. */
const wrong: fc.Arbitrary<Frame[]> = fc
  .record({
    first: fc.integer({ min: 0, max: 255 }),
    payload,
    masked: fc.boolean(),
    length: fc.oneof(fc.nat(300), fc.constantFrom(2_001, 65_535, 65_536, 2 ** 40)),
  })
  .map((frame) => [frame]);
/** Mostly right, sometimes wrong. */
export const mixed = fc.oneof({ weight: 4, arbitrary: good }, { weight: 1, arbitrary: wrong });
/** Places where what is read is cut. */
export const cuts = fc.array(fc.nat(20_000), { maxLength: 30 });
