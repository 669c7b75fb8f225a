import type { GatewayItem, ServeResponse } from "@callweave/proto";
import { ServeResponse as Response } from "@callweave/proto";
import { describe, expect, it } from "vitest";
import type { CallError } from "../call/call-error.js";
import { DEFAULT_STREAM_LIMITS, type StreamLimits } from "./limits.js";
import { StreamWriter } from "./stream-writer.js";

function setup(limits: Partial<StreamLimits> = {}) {
  const written: ServeResponse[] = [];
  const state = { finished: false, error: undefined as CallError | undefined, overflows: 0 };
  let done: ((error?: Error | null) => void) | undefined;
  const turns: (() => void)[] = [];
  const writer = new StreamWriter(
    {
      write: (message, callback) => {
        expect(done).toBeUndefined();
        written.push(message);
        done = callback;
      },
      finish: (error) => {
        state.finished = true;
        state.error = error;
      },
    },
    { ...DEFAULT_STREAM_LIMITS, ...limits },
    () => state.overflows++,
    (fn) => turns.push(fn),
  );
  /** Runs what setImmediate would run. */
  const turn = () => {
    for (const fn of turns.splice(0)) fn();
  };
  /** The write on its way is done. */
  const wrote = (error?: Error) => {
    const callback = done;
    done = undefined;
    callback?.(error);
  };
  /** Lets everything out. */
  const drain = () => {
    turn();
    while (done) wrote();
  };
  return { writer, written, state, turn, wrote, drain, turns };
}

const control = (name: string): GatewayItem => ({
  item: { $case: "offerRevoked", value: { offerId: name } },
});
const pcm = (bytes = 320) => new Uint8Array(bytes);
const kinds = (message: ServeResponse | undefined) =>
  message?.items.map(({ item }) =>
    item?.$case === "offerRevoked"
      ? item.value.offerId
      : item?.$case === "audio"
        ? `a${item.value.handle}:${item.value.sequence}`
        : item?.$case === "audioGap"
          ? `gap${item.value.handle}`
          : "?",
  );

describe("StreamWriter", () => {
  it("sends what was queued in one turn as one message, control before audio, the handles in turn", () => {
    const { writer, written, turn, turns } = setup();
    writer.openHandle(1, 8000);
    writer.openHandle(2, 8000);
    writer.sendAudio(1, 0, 160, pcm());
    writer.sendAudio(1, 160, 160, pcm());
    writer.sendAudio(2, 0, 160, pcm());
    writer.sendControl(control("x"));
    expect(turns.length).toBe(1);
    expect(written.length).toBe(0);
    turn();
    expect(written.map(kinds)).toEqual([["x", "a1:1", "a2:1", "a1:2"]]);
  });

  it("has one message on its way and merges what waits", () => {
    const { writer, written, turn, wrote, turns } = setup();
    writer.openHandle(1, 8000);
    writer.sendAudio(1, 0, 160, pcm());
    turn();
    for (let i = 1; i < 5; i++) writer.sendAudio(1, i * 160, 160, pcm());
    writer.sendControl(control("x"));
    expect(turns.length).toBe(0);
    expect(written.length).toBe(1);
    wrote();
    expect(written.map(kinds)).toEqual([["a1:1"], ["x", "a1:2", "a1:3", "a1:4", "a1:5"]]);
  });

  it("caps a message in items and in bytes", () => {
    const { writer, written, drain } = setup({ maxAudioMs: 1_000_000 });
    writer.openHandle(1, 8000);
    for (let i = 0; i < 600; i++) writer.sendAudio(1, i * 160, 160, pcm());
    drain();
    expect(written.map((m) => m.items.length)).toEqual([256, 256, 88]);
    written.length = 0;
    for (let i = 0; i < 300; i++) writer.sendAudio(1, i * 1000, 1000, pcm(2000));
    drain();
    expect(written.length).toBe(3);
    for (const message of written) {
      expect(Response.encode(message).finish().length).toBeLessThanOrEqual(256 * 1024);
    }
  });

  it("sends an item larger than the cap alone", () => {
    const { writer, written, drain } = setup({ maxMessageBytes: 1000 });
    writer.openHandle(1, 8000);
    writer.sendControl(control("a"));
    writer.sendControl(control("b".repeat(5000)));
    writer.sendControl(control("c"));
    writer.sendAudio(1, 0, 4000, pcm(8000));
    drain();
    expect(written.map((m) => m.items.length)).toEqual([1, 1, 1, 1]);
  });

  it("drops the oldest audio of a slow reader and says so before the next", () => {
    const { writer, written, turn, wrote } = setup({ maxAudioMs: 100 });
    writer.openHandle(1, 8000);
    writer.openHandle(2, 8000);
    writer.sendAudio(1, 0, 160, pcm());
    turn();
    for (let i = 1; i <= 20; i++) writer.sendAudio(1, i * 160, 160, pcm());
    writer.sendAudio(2, 0, 160, pcm());
    expect(writer.waitingAudioMs(1)).toBe(100);
    expect(writer.droppedAudioMs).toBe(300);
    wrote();
    expect(kinds(written[1])).toEqual(["gap1", "a1:17", "a2:1", "a1:18", "a1:19", "a1:20", "a1:21"]);
    expect(written[1]?.items[0]?.item?.value).toEqual({
      handle: 1,
      from: 160,
      duration: { seconds: 0, nanos: 300_000_000 },
      reason: 1,
    });
    expect(written[1]?.items[1]?.item?.value).toMatchObject({ position: 16 * 160 });
  });

  it("keeps at least the newest audio, however long it is", () => {
    const { writer, written, drain } = setup({ maxAudioMs: 10 });
    writer.openHandle(1, 8000);
    writer.sendAudio(1, 0, 8000, pcm());
    writer.sendAudio(1, 8000, 8000, pcm());
    drain();
    expect(written.map(kinds)).toEqual([["gap1", "a1:2"]]);
  });

  it("forgets the audio of an ended handle and ignores unknown ones", () => {
    const { writer, written, drain } = setup();
    writer.openHandle(1, 8000);
    writer.openHandle(2, 8000);
    writer.sendAudio(1, 0, 160, pcm());
    writer.sendAudio(2, 0, 160, pcm());
    writer.endHandle(1);
    writer.sendAudio(1, 160, 160, pcm());
    writer.sendAudio(9, 0, 160, pcm());
    drain();
    expect(written.map(kinds)).toEqual([["a2:1"]]);
    expect(writer.waitingAudioMs(1)).toBe(0);
  });

  it("ends with STREAM_QUEUE_FULL when too many control items wait, and drops them", () => {
    const { writer, state, turn, wrote } = setup({ maxControlItems: 10 });
    writer.sendControl(control("first"));
    turn();
    for (let i = 0; i < 10; i++) writer.sendControl(control(`${i}`));
    expect(state.overflows).toBe(0);
    writer.sendControl(control("one too many"));
    expect(state.overflows).toBe(1);
    writer.sendControl(control("later"));
    expect(writer.waitingControlItems).toBe(0);
    expect(state.finished).toBe(false);
    wrote();
    expect(state.finished).toBe(true);
    expect(state.error?.reason).toBe("STREAM_QUEUE_FULL");
    expect(state.error?.metadata).toEqual({ max_items: "10", max_bytes: "1048576" });
    expect(state.overflows).toBe(1);
  });

  it("ends with STREAM_QUEUE_FULL when too many control bytes wait", () => {
    const { writer, state, turn } = setup({ maxControlBytes: 10_000 });
    writer.sendControl(control("first"));
    turn();
    for (let i = 0; i < 9; i++) writer.sendControl(control("x".repeat(1000)));
    expect(state.overflows).toBe(0);
    writer.sendControl(control("x".repeat(1000)));
    expect(state.overflows).toBe(1);
  });

  it("does not take a burst within one turn for a slow reader as long as a message can leave", () => {
    const { writer, state, written } = setup({ maxControlItems: 300 });
    for (let i = 0; i < 500; i++) writer.sendControl(control(`${i}`));
    expect(state.overflows).toBe(0);
    expect(written.length).toBe(1);
  });

  it("writes what is queued before it ends, and nothing afterwards", () => {
    const { writer, written, state, drain } = setup();
    writer.openHandle(1, 8000);
    writer.sendControl(control("a"));
    writer.sendAudio(1, 0, 160, pcm());
    writer.end();
    writer.sendControl(control("b"));
    writer.sendAudio(1, 160, 160, pcm());
    drain();
    expect(written.map(kinds)).toEqual([["a", "a1:1"]]);
    expect(state).toEqual({ finished: true, error: undefined, overflows: 0 });
  });

  it("stops when a write fails", () => {
    const { writer, written, state, turn, wrote } = setup();
    writer.sendControl(control("a"));
    turn();
    writer.sendControl(control("b"));
    wrote(new Error("gone"));
    turn();
    expect(written.length).toBe(1);
    expect(state.finished).toBe(false);
  });

  it("throws on an item that cannot be encoded and goes on", () => {
    const { writer, written, drain } = setup();
    writer.sendControl(control("a"));
    expect(() =>
      writer.sendControl({ item: { $case: "markReached", value: { handle: -1, name: "", end: 1 } } }),
    ).toThrow();
    drain();
    expect(written.map(kinds)).toEqual([["a"]]);
  });

  it("keeps memory bounded under an unread load", () => {
    const { writer, turn } = setup();
    for (let h = 1; h <= 10; h++) writer.openHandle(h, 8000);
    writer.sendControl(control("first"));
    turn();
    for (let i = 0; i < 5000; i++) for (let h = 1; h <= 10; h++) writer.sendAudio(h, i * 160, 160, pcm());
    for (let h = 1; h <= 10; h++) expect(writer.waitingAudioMs(h)).toBe(2000);
  });
});
