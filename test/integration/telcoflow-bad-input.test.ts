import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TelcoflowCounters } from "../../gateway/src/telephony/telcoflow/index.js";
import {
  type MalformedControl,
  type MalformedMedia,
  type SimCall,
  Simulator,
  tone,
} from "../../simulator/src/index.js";
import { noiseBytes, type TestCall, TestGateway, until } from "./telcoflow-harness.js";

type Counter = keyof TelcoflowCounters;

let sim: Simulator;
let gw: TestGateway;
/** A call that must notice nothing. */
let other: { ours: TestCall; simCall: SimCall };

async function place(): Promise<{ ours: TestCall; simCall: SimCall }> {
  const before = gw.calls.length;
  const simCall = sim.placeCall({ caller: [tone(440)] });
  const ours = await gw.call(before);
  await ours.leg.answer();
  return { ours, simCall };
}

beforeAll(async () => {
  sim = await Simulator.start();
  gw = await TestGateway.started(sim, { badFramesPerMinute: 100 });
  other = await place();
});

afterAll(async () => {
  await gw?.connector.stop();
  await sim?.stop();
});

/** Audio both ways and a command, as if nothing had been. */
async function worksStill({ ours, simCall }: typeof other): Promise<void> {
  const heard = ours.heardOn(0).length;
  const delivered = simCall.stats.deliveredBytes;
  ours.play(noiseBytes(1920));
  ours.flush();
  await ours.leg.interrupt();
  await until(() => ours.heardOn(0).length >= heard + 1280, "audio of the caller");
  await until(() => simCall.stats.deliveredBytes >= delivered + 1920, "audio of the agent");
}

async function counted(counter: Counter, what: () => void, by = 1): Promise<void> {
  const before = gw.counters[counter];
  what();
  await until(() => gw.counters[counter] >= before + by, counter);
  expect(gw.counters[counter]).toBe(before + by);
}

describe("Telcoflow / bad input on a media connection", () => {
  it.each<[MalformedMedia, Counter]>([
    ["not_json", "badFrames"],
    ["not_object", "badFrames"],
    ["no_type", "badFrames"],
    ["unknown_type", "unknownTypes"],
    ["unknown_event", "unknownEvents"],
    ["event_without_data", "badFrames"],
    ["wrong_field_types", "badFrames"],
    ["negative_request", "badFrames"],
    ["other_channel_request", "creditOtherChannel"],
    ["unknown_response", "lateResponses"],
    ["proto_keys", "unknownEvents"],
    ["deep", "badFrames"],
    ["binary_empty", "shortAudioFrames"],
    ["binary_one_byte", "shortAudioFrames"],
  ])("%s is counted (%s) and the call goes on", async (kind, counter) => {
    const { ours, simCall } = other;
    await counted(counter, () => simCall.faults.sendMalformed(kind));
    await worksStill(other);
    expect(ours.told).toEqual([]);
  });

  it("an odd frame keeps its last byte for the next, so that samples stay whole (fault 31)", async () => {
    const call = await place();
    const before = gw.counters.oddAudioFrames;
    // On channels of their own, away from the caller's audio.
    for (const bytes of [
      [5, 1, 2, 3],
      [5, 4, 5, 6, 7],
      [5, 8],
    ])
      call.simCall.faults.sendRaw(Buffer.from(bytes));
    await until(() => call.ours.heardOn(5).length === 8, "all eight bytes");
    expect([...call.ours.heardOn(5)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(gw.counters.oddAudioFrames).toBeGreaterThan(before);
    await worksStill(call);
  });

  it("an unknown channel is passed on by its number", async () => {
    const call = await place();
    call.simCall.faults.sendMalformed("binary_wrong_channel");
    await until(() => call.ours.heardOn(9).length === 640, "channel 9");
    await worksStill(call);
  });

  it("a huge request is cut, and the call goes on (fault 32)", async () => {
    const call = await place();
    // The provider's own first request, if it came after, would be cut as well: the room is taken then.
    await until(() => call.simCall.stats.grants > 0, "the provider's first request");
    await counted("creditCut", () => call.simCall.faults.sendMalformed("huge_request"));
    await worksStill(call);
  });

  it.each<MalformedMedia>(["binary_oversize", "text_oversize"])(
    "%s ends that connection, which is opened again; no other (fault 28)",
    async (kind) => {
      const call = await place();
      await counted("oversizeFrames", () => call.simCall.faults.sendMalformed(kind));
      await call.simCall.waitForEvent("media.closed", { matches: ({ data }) => codeOf(data) === 1009 });
      await until(() => call.ours.has("media restored"), "the media");
      await worksStill(call);
      expect(other.ours.told).toEqual([]);
      expect(other.simCall.stats.mediaConnections).toBe(1);
    },
  );

  it("any number of bad frames is only counted (fault 29)", async () => {
    const call = await place();
    const lines = gw.log.length;
    await counted(
      "badFrames",
      () => {
        for (let i = 0; i < 500; i++) call.simCall.faults.sendMalformed("not_json");
      },
      500,
    );
    await worksStill(call);
    expect(gw.log.length - lines).toBeLessThan(5);
  });

  it("random bytes and text never hurt (fault 29)", async () => {
    const call = await place();
    const bytes = noiseBytes(60_000, 99);
    for (let i = 0; i < 300; i++) {
      const piece = bytes.subarray(i * 100, i * 100 + (i % 97));
      // Channel 1 to 255: random audio on the caller's channel would be heard as his.
      call.simCall.faults.sendRaw(
        i % 2 ? piece.toString("latin1") : Buffer.concat([Buffer.of(1 + (i % 255)), piece]),
      );
    }
    await worksStill(call);
    expect(call.ours.told).toEqual([]);
  });
});

describe("Telcoflow / bad input on the control connection", () => {
  it.each<[MalformedControl, Counter]>([
    ["not_json", "badFrames"],
    ["not_object", "badFrames"],
    ["no_type", "badFrames"],
    ["unknown_type", "unknownTypes"],
    ["unknown_session", "unexpectedCalls"],
    ["wrong_field_types", "badFrames"],
    ["unknown_activity", "ignoredNotices"],
    ["unknown_response", "lateResponses"],
    ["binary", "badFrames"],
  ])("%s is counted (%s) and the connection stays", async (kind, counter) => {
    const reconnects = gw.counters.reconnects;
    await counted(counter, () => sim.faults.sendMalformedControl(kind));
    const call = await place();
    await worksStill(call);
    expect(gw.counters.reconnects).toBe(reconnects);
  });

  it("an oversize frame ends the connection, which comes back; calls go on (fault 28)", async () => {
    const reconnects = gw.counters.reconnects;
    await counted("oversizeFrames", () => sim.faults.sendMalformedControl("oversize"));
    await until(() => gw.counters.reconnects === reconnects + 1, "the reconnect");
    await worksStill(other);
    expect(other.ours.told).toEqual([]);
    expect(other.simCall.stats.mediaConnections).toBe(1);
  });

  it("more than 100 bad frames in a minute end the connection with 1008; calls go on (fault 29)", async () => {
    const { badFrameCloses, reconnects } = gw.counters;
    for (let i = 0; i < 150; i++) sim.faults.sendMalformedControl("not_json");
    await until(() => gw.counters.badFrameCloses === badFrameCloses + 1, "the close");
    await until(() => gw.counters.reconnects === reconnects + 1, "the reconnect");
    await worksStill(other);
    expect(other.ours.told).toEqual([]);
  });

  it("nothing threw, and no secret is in the log (fault 29)", () => {
    expect(gw.counters.handlerErrors).toBe(0);
    const log = gw.log.join("\n");
    expect(log).not.toContain("simulator-key");
    expect(log).not.toMatch(/eyJ|Bearer/);
    expect(Math.max(...gw.log.map((line) => line.length))).toBeLessThan(1000);
  });
});

function codeOf(data: unknown): unknown {
  return (data as { code?: unknown } | null)?.code;
}
