import {
  type AgentItem,
  decodeMessage,
  EndReason,
  encodeMessage,
  type GatewayItem,
  ListenCallResponse,
  ServeRequest,
  ServeResponse,
} from "@callweave/proto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AudioItem, encodeListenCallResponse, encodeServeResponse, readAudio } from "./audio-wire.js";

interface Heard {
  readonly handle: number;
  readonly pcm: readonly number[];
}

/** What readAudio hands over, or undefined when it declines. `before` and `behind` are other bytes around the message. */
function readByHand(message: Uint8Array, before = 3, behind = message): Heard[] | undefined {
  const bytes = Buffer.concat([Buffer.alloc(before, ITEM), message, behind]);
  const [from, to] = [before, before + message.length];
  const heard: Heard[] = [];
  const items = readAudio(bytes, from, to);
  const taken = readAudio(bytes, from, to, (handle, pcm) => heard.push({ handle, pcm: [...pcm] }));
  expect(taken).toBe(items);
  if (items < 0) return undefined;
  expect(heard.length).toBe(items);
  return heard;
}

/** What the generated code reads, where that is audio alone. */
function readGenerated(message: Uint8Array): Heard[] | undefined {
  const heard: Heard[] = [];
  for (const { item } of decodeMessage(ServeRequest, message).items) {
    if (item?.$case !== "audio") return undefined;
    heard.push({ handle: item.value.handle, pcm: [...item.value.pcm] });
  }
  return heard;
}

/** The generated code's word, or that it throws. */
function judged(message: Uint8Array): Heard[] | undefined | "throws" {
  try {
    return readGenerated(message);
  } catch {
    return "throws";
  }
}

const ITEM = 10;
const pcm = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  // Where lengths get one byte longer: of the bytes, of the audio, of the item.
  fc.integer({ min: 110, max: 140 }).map((length) => new Uint8Array(length).fill(18)),
  fc.integer({ min: 16_370, max: 16_390 }).map((length) => new Uint8Array(length).fill(50)),
);
const handle = fc.oneof(fc.nat(300), fc.nat(2 ** 28), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
const audio = fc.record({ handle, pcm }).map((value): AgentItem => ({ item: { $case: "audio", value } }));
const other = fc.constantFrom<AgentItem>(
  { item: undefined },
  { item: { $case: "heartbeat", value: { load: 0.5 } } },
  { item: { $case: "mark", value: { handle: 1, name: "m" } } },
  { item: { $case: "clearPlayback", value: { handle: 3 } } },
  { item: { $case: "drain", value: {} } },
);
const audioMessage = fc
  .array(audio, { maxLength: 6 })
  .map((items) => new Uint8Array(ServeRequest.encode({ items }).finish()));
const anyMessage = fc
  .array(fc.oneof({ weight: 4, arbitrary: audio }, other), { maxLength: 6 })
  .map((items) => new Uint8Array(ServeRequest.encode({ items }).finish()));
const anyBytes = fc.uint8Array({ maxLength: 30 });
/** Bytes that are tags and lengths of the messages more often than chance has it. */
const likelyBytes = fc.array(
  fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 8, 10, 16, 18, 24, 34, 50, 0x80, 0xff), fc.nat(255)),
  { maxLength: 24 },
);

describe("readAudio", () => {
  it("reads each message of audio that the generated code writes", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ handle: fc.nat(2 ** 28 - 1), pcm }), { maxLength: 6 }), (values) => {
        const items = values.map((value): AgentItem => ({ item: { $case: "audio", value } }));
        const read = readByHand(ServeRequest.encode({ items }).finish());
        // Audio without bytes is left to the generated code.
        if (values.every((one) => one.pcm.length > 0))
          expect(read).toEqual(values.map((one) => ({ handle: one.handle, pcm: [...one.pcm] })));
        else expect(read).toBeUndefined();
      }),
    );
  });

  it("hands over views of what came", () => {
    const message = ServeRequest.encode({
      items: [{ item: { $case: "audio", value: { handle: 0, pcm: Uint8Array.of(1, 2) } } }],
    }).finish();
    const bytes = Buffer.from(message);
    const seen: Uint8Array[] = [];
    expect(readAudio(bytes, 0, bytes.length, (_handle, view) => seen.push(view))).toBe(1);
    expect(seen[0]?.constructor).toBe(Uint8Array);
    expect(seen[0]?.buffer).toBe(bytes.buffer);
    expect(seen).toEqual([Uint8Array.of(1, 2)]);
  });

  it("hears what the generated code hears, or declines: any message", () => {
    fc.assert(fc.property(anyMessage, agree), { numRuns: 500 });
  });

  it("hears what the generated code hears, or declines: messages cut short, changed, longer", () => {
    const change = fc.record({
      at: fc.nat(),
      keep: fc.nat(),
      drop: fc.nat(3),
      put: likelyBytes,
      cut: fc.boolean(),
    });
    const changed = fc.tuple(
      fc.oneof(audioMessage, anyMessage),
      fc.array(change, { minLength: 1, maxLength: 3 }),
    );
    fc.assert(
      fc.property(changed, ([message, changes]) => {
        let bytes = Buffer.from(message);
        for (const { at, drop, put, cut } of changes) {
          // Near the beginning, where the tags and lengths are, or anywhere.
          const place = at % Math.min(at % 2 ? 16 : 1e9, bytes.length + 1);
          bytes = cut
            ? bytes.subarray(0, place)
            : Buffer.concat([bytes.subarray(0, place), Buffer.from(put), bytes.subarray(place + drop)]);
        }
        agree(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it("hears what the generated code hears, or declines: any bytes", () => {
    fc.assert(
      fc.property(fc.oneof(anyBytes, likelyBytes), (bytes) => agree(Uint8Array.from(bytes))),
      {
        numRuns: 3_000,
      },
    );
  });

  it.each([
    ["a truncated length", [10, 0x80]],
    ["an item longer than the message", [10, 6, 50, 3, 18, 1, 7]],
    ["an item shorter than its audio", [10, 4, 50, 3, 18, 1, 7]],
    ["audio longer than its item", [10, 5, 50, 9, 18, 1, 7]],
    ["audio shorter than its item", [10, 5, 50, 2, 18, 1, 7]],
    ["audio longer than its bytes", [10, 6, 50, 4, 18, 1, 7, 0]],
    ["a needlessly long length", [10, 0x86, 0, 50, 3, 18, 1, 7]],
    ["the fields the other way round", [10, 7, 50, 5, 18, 1, 7, 8, 1]],
    ["a field twice", [10, 9, 50, 7, 8, 1, 8, 2, 18, 1, 7]],
    ["a field nobody knows", [10, 7, 50, 5, 24, 1, 18, 1, 7]],
    ["an item nobody knows", [10, 2, 122, 0]],
    ["no bytes", [10, 4, 50, 2, 8, 1]],
  ])("leaves to the generated code: %s", (_what, bytes) => {
    const message = Uint8Array.from(bytes);
    expect(readByHand(message)).toBeUndefined();
    expect(readByHand(message, 0, Uint8Array.of(10, 3, 1))).toBeUndefined();
  });

  it("finds no items in no bytes", () => {
    expect(readByHand(new Uint8Array())).toEqual([]);
  });
});

function agree(message: Uint8Array): void {
  const read = readByHand(message);
  if (read) expect(judged(message)).toEqual(read);
}

describe("encodeServeResponse", () => {
  const whole = fc.oneof(fc.nat(300), fc.nat(2 ** 31 - 1), fc.maxSafeNat(), edges());
  const audioItem = fc
    .tuple(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.oneof(fc.nat(300), whole), whole, pcm)
    .map(([at, sequence, position, bytes]): GatewayItem => new AudioItem(at, sequence, position, bytes, 1));
  const control = fc.oneof(
    fc.constantFrom<GatewayItem>(
      { item: undefined },
      { item: { $case: "goAway", value: { deadline: { seconds: 3, nanos: 0 } } } },
      { item: { $case: "audio", value: { handle: 1, sequence: 2, position: 3, pcm: Uint8Array.of(1) } } },
    ),
    fc.nat(200).map((length): GatewayItem => ({ item: { $case: "note", value: note("x".repeat(length)) } })),
  );

  it("writes the bytes of the generated code behind those of the caller", () => {
    const items = fc.array(fc.oneof({ weight: 3, arbitrary: audioItem }, control), { maxLength: 8 });
    fc.assert(
      fc.property(items, fc.nat(8), (some, before) => {
        const message = { items: some };
        const bytes = encodeServeResponse(message, before).subarray(before);
        expect(bytes.equals(ServeResponse.encode(message).finish())).toBe(true);
        expect(bytes.equals(encodeMessage(ServeResponse, ServeResponse.decode(bytes)))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("writes those of ListenCall likewise", () => {
    const message = fc.oneof(
      { weight: 3, arbitrary: audioItem as fc.Arbitrary<ListenCallResponse> },
      fc.constantFrom<ListenCallResponse>(
        { item: undefined },
        { item: { $case: "ended", value: EndReason.DISCONNECTED } },
        { item: { $case: "audio", value: { handle: 0, sequence: 2, position: 3, pcm: Uint8Array.of(1) } } },
      ),
    );
    fc.assert(
      fc.property(message, fc.nat(8), (some, before) => {
        const bytes = encodeListenCallResponse(some, before).subarray(before);
        expect(bytes.equals(ListenCallResponse.encode(some).finish())).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ["a handle below 0", -1, 1, 1],
    ["a handle that is too large", 2 ** 32, 1, 1],
    ["a handle that is not whole", 1.5, 1, 1],
    ["a position below 0", 1, 1, -1],
    ["a position that is no number", 1, 1, Number.NaN],
    ["a sequence without end", 1, Number.POSITIVE_INFINITY, 1],
    ["a position beyond what a double tells apart", 1, 1, 2 ** 60],
  ])("does with %s what the generated code does", (_what, at, sequence, position) => {
    const message = { items: [new AudioItem(at, sequence, position, Uint8Array.of(1), 1)] };
    const of = (encode: () => Uint8Array) => {
      try {
        return Buffer.from(encode()).toString("hex");
      } catch (error) {
        return String(error);
      }
    };
    expect(of(() => encodeServeResponse(message))).toBe(of(() => ServeResponse.encode(message).finish()));
    const [item] = message.items;
    expect(of(() => encodeListenCallResponse(item as AudioItem))).toBe(
      of(() => ListenCallResponse.encode(item as AudioItem).finish()),
    );
  });

  it("is read by the generated code as the numbers and bytes that it was given", () => {
    const bytes = encodeServeResponse({ items: [new AudioItem(7, 3, 2 ** 40 + 1, Uint8Array.of(1, 2), 1)] });
    expect(decodeMessage(ServeResponse, bytes).items.map(({ item }) => item)).toEqual([
      {
        $case: "audio",
        value: { handle: 7, sequence: 3, position: 2 ** 40 + 1, pcm: Uint8Array.of(1, 2) },
      },
    ]);
  });
});

function edges() {
  return fc
    .tuple(fc.integer({ min: 7, max: 52 }), fc.integer({ min: -1, max: 1 }))
    .map(([power, by]) => 2 ** power + by);
}

function note(text: string) {
  return { handle: 1, text, author: "client:desk" };
}
