import type { ListenCallResponse } from "@callweave/proto";
import { describe, expect, it } from "vitest";
import { ListenWriter } from "./listen-writer.js";

function setup(maxQueuedMs = 100) {
  const written: ListenCallResponse[] = [];
  let done: (() => void) | undefined;
  const turns: (() => void)[] = [];
  const state = { finished: false };
  const writer = new ListenWriter(
    {
      write: (message, callback) => {
        written.push(message);
        done = callback;
      },
      finish: () => {
        state.finished = true;
      },
    },
    8000,
    maxQueuedMs,
    (fn) => turns.push(fn),
  );
  const turn = () => {
    for (const fn of turns.splice(0)) fn();
  };
  const wrote = () => {
    const callback = done;
    done = undefined;
    callback?.();
  };
  const drain = () => {
    turn();
    while (done) wrote();
  };
  return { writer, written, state, turn, wrote, drain };
}

const format = { encoding: 1, sampleRateHertz: 8000 };
const kinds = (written: ListenCallResponse[]) =>
  written.map(({ item }) => (item?.$case === "audio" ? `a${item.value.sequence}` : item?.$case));

describe("ListenWriter", () => {
  it("sends nothing before the format, then audio, then the end", () => {
    const { writer, written, state, turn, drain } = setup();
    writer.audio(0, 160, new Uint8Array(320));
    turn();
    expect(written).toEqual([]);
    writer.start(format);
    writer.gap(160, 40, "PROVIDER");
    writer.audio(480, 160, new Uint8Array(320));
    writer.ended("TERMINATED");
    writer.audio(640, 160, new Uint8Array(320));
    drain();
    expect(kinds(written)).toEqual(["started", "a1", "gap", "a2", "ended"]);
    expect(state.finished).toBe(true);
  });

  it("loses the oldest audio of a slow listener, told by a gap, and never the end", () => {
    const { writer, written, turn, wrote, drain } = setup();
    writer.start(format);
    turn();
    for (let i = 0; i < 20; i++) writer.audio(i * 160, 160, new Uint8Array(320));
    writer.ended("TERMINATED");
    expect(writer.droppedMs).toBe(300);
    wrote();
    drain();
    expect(kinds(written)).toEqual(["started", "gap", "a16", "a17", "a18", "a19", "a20", "ended"]);
    expect(written[1]?.item?.value).toEqual({
      handle: 0,
      from: 0,
      duration: { seconds: 0, nanos: 300_000_000 },
      reason: 1,
    });
  });

  it("drops a gap of the provider together with the audio around it", () => {
    const { writer, written, turn, drain } = setup(40);
    writer.start(format);
    turn();
    writer.audio(0, 160, new Uint8Array(320));
    writer.gap(160, 100, "PAUSED");
    for (let i = 6; i < 10; i++) writer.audio(i * 160, 160, new Uint8Array(320));
    drain();
    expect(kinds(written)).toEqual(["started", "gap", "a4", "a5"]);
    expect(written[1]?.item?.value).toMatchObject({ from: 0, duration: { seconds: 0, nanos: 160_000_000 } });
  });

  it("is silent once closed", () => {
    const { writer, written, drain } = setup();
    writer.start(format);
    writer.close();
    writer.audio(0, 160, new Uint8Array(320));
    writer.ended("TERMINATED");
    drain();
    expect(written).toEqual([]);
  });
});
