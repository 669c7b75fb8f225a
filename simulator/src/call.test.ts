import { beforeEach, describe, expect, it } from "vitest";
import { makeTone, soundSpans, toneAmplitude, toneSpans } from "./audio/analysis.js";
import { SimCall } from "./call.js";
import type { CallOptions } from "./call-types.js";
import { ManualClock } from "./clock.js";
import { type CalleeBehaviour, callee, hangUp, type Script, tone, wait } from "./party/script.js";
import type { MediaSocket } from "./plane/media-link.js";
import { SessionTable } from "./plane/sessions.js";
import { FrameTicker } from "./ticker.js";
import { sharedVoice } from "./voice/voice.js";

const RATE = 8000;
const CALLER = 440;
const CALLEE = 700;
const AGENT = 1200;

/** A media connection without a network: an agent that speaks a tone when asked for audio. */
class FakeMedia implements MediaSocket {
  bufferedAmount = 0;
  closed: number | undefined;
  readonly texts: { type: string; data: Record<string, unknown> }[] = [];
  readonly audio: Buffer[] = [];
  call: SimCall | undefined;
  speaks = false;
  #samples = makeTone(AGENT, 60, RATE);
  #at = 0;
  #credit = 0;

  send(data: Buffer | string): void {
    if (typeof data !== "string") {
      this.audio.push(data);
      return;
    }
    const frame = JSON.parse(data) as { type: string; data: Record<string, unknown> };
    this.texts.push(frame);
    if (frame.type !== "buffer_request") return;
    this.#credit += frame.data.requested_bytes as number;
    if (this.speaks) this.speakNow();
  }

  speakNow(): void {
    const samples = this.#samples.subarray(this.#at, this.#at + this.#credit / 2);
    this.#at += samples.length;
    this.#credit = 0;
    const bytes = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
    this.call?.receiveBinary(Buffer.concat([Buffer.from([0]), bytes]));
  }

  close(code: number): void {
    this.closed = code;
  }

  terminate(): void {
    this.closed = 1006;
  }

  freeze(): void {}

  command(id: string, command: string, data?: unknown, timeoutMs = 10_000): void {
    this.call?.receiveText(
      JSON.stringify({ type: "command", data: { command_id: id, command, timeout_ms: timeoutMs, data } }),
    );
  }

  responses(id: string): Record<string, unknown>[] {
    return this.texts
      .filter(({ type, data }) => type === "command_response" && data.command_id === id)
      .map(({ data }) => data);
  }

  get terminated(): number {
    return this.texts.filter(({ data }) => data.event === "call.terminated").length;
  }
}

describe("SimCall", () => {
  let clock: ManualClock;
  let media: FakeMedia;
  let closed: string[];
  let lost: number;

  beforeEach(() => {
    clock = new ManualClock();
    media = new FakeMedia();
    closed = [];
    lost = 0;
  });

  function place(
    input: {
      caller?: Script;
      subscriber?: readonly CalleeBehaviour[];
      options?: CallOptions;
      direction?: "inbound" | "outbound";
    } = {},
  ): SimCall {
    const session = new SessionTable().create(
      {
        connectorUuid: "c",
        channel: "TELCO",
        initiator: "CONNECTOR",
        remoteAddress: "+15550101",
        localAddress: "+15550100",
      },
      0,
    );
    const call = new SimCall(
      {
        id: "call-1",
        session,
        direction: input.direction ?? "inbound",
        from: "+15550101",
        to: "+15550100",
        seed: 1,
        callerScript: input.caller ?? [tone(CALLER)],
        subscriber: input.subscriber ?? [callee.picksUp({ afterSeconds: 2, script: [tone(CALLEE)] })],
        remote: callee.picksUp({ afterSeconds: 1, script: [tone(CALLEE)] }),
        remoteRingsOnAnswer: false,
        options: input.options ?? {},
      },
      {
        clock,
        ticker: new FrameTicker(clock),
        voice: sharedVoice,
        closeSession: (_, reason) => closed.push(reason),
        mediaLost: () => {
          lost += 1;
        },
        ended: () => {},
      },
    );
    if (call.direction === "inbound") call.callerRings();
    call.claimed(RATE, false);
    media.call = call;
    call.attachMedia(media);
    return call;
  }

  /** Who hears whom in the last 200 ms. */
  function audible(call: SimCall): string[] {
    const lines: string[] = [];
    const toMs = call.recording.durationMs;
    for (const track of ["caller", "callee", "agent"] as const)
      for (const [who, hz] of [
        ["caller", CALLER],
        ["callee", CALLEE],
        ["agent", AGENT],
      ] as const)
        if (toneAmplitude(call.recording.track(track), RATE, hz, { fromMs: toMs - 200, toMs }) > 6000)
          lines.push(`${track}<${who}`);
    return lines;
  }

  it("carries no audio and gives no credit before it is answered", () => {
    const call = place();
    media.speaks = true;
    clock.advance(1000);
    expect(media.audio).toEqual([]);
    expect(media.texts).toEqual([]);
    expect(call.state).toBe("PENDING");
    media.command("1", "call.answer");
    clock.advance(1000);
    expect(media.responses("1")).toEqual([{ command_id: "1", success: true, result: null }]);
    expect(media.audio.length).toBeGreaterThanOrEqual(49);
    expect(audible(call)).toEqual(["caller<agent", "agent<caller"]);
  });

  it("mixes by mode", () => {
    const call = place();
    media.speaks = true;
    media.command("1", "call.connect", { ringTimeSeconds: 10 });
    clock.advance(1000);
    expect(call.ringing).toBe(true);
    expect(audible(call)).toEqual([]);
    clock.advance(2000);
    const both = ["caller<callee", "callee<caller"];
    const agent = ["agent<caller", "agent<callee"];
    expect(call.state).toBe("CONNECTED");
    expect(audible(call).sort()).toEqual([...both, ...agent, "caller<agent", "callee<agent"].sort());
    media.command("2", "agent.whisper");
    clock.advance(500);
    expect(audible(call).sort()).toEqual([...both, ...agent, "callee<agent"].sort());
    media.command("3", "agent.spy");
    clock.advance(500);
    expect(audible(call).sort()).toEqual([...both, ...agent].sort());
    media.command("4", "agent.barge");
    clock.advance(500);
    expect(audible(call)).toContain("caller<agent");
    media.command("5", "call.close");
    expect(media.closed).toBe(1000);
    expect(media.terminated).toBe(0);
    expect(closed).toEqual(["SDK_REQUEST"]);
    clock.advance(500);
    expect(audible(call).sort()).toEqual(both.sort());
    expect(call.state).toBe("CONNECTED");
    call.hangUp();
    expect(call).toMatchObject({ state: "DISCONNECTED", endReason: "caller_hung_up" });
  });

  it("lets the caller of an outbound call be the one who hears the whisper", () => {
    const call = place({
      direction: "outbound",
      subscriber: [callee.picksUp({ afterSeconds: 0, script: [tone(CALLER)] })],
    });
    media.speaks = true;
    call.ringRemote(10, () => {});
    clock.advance(1100);
    media.command("1", "call.answer");
    media.command("2", "call.connect", {});
    clock.advance(100);
    media.command("3", "agent.whisper");
    clock.advance(500);
    expect(audible(call)).toContain("caller<agent");
    expect(audible(call)).not.toContain("callee<agent");
  });

  it("stays answered when nobody picks up, and hears the agent while it rings", () => {
    const call = place({ subscriber: [callee.never()] });
    media.speaks = true;
    media.command("1", "call.answer");
    media.command("2", "call.connect", { ringTimeSeconds: 3 }, 3000);
    clock.advance(2900);
    expect(audible(call)).toContain("caller<agent");
    expect(media.responses("2")).toEqual([]);
    clock.advance(200);
    expect(media.responses("2")).toMatchObject([{ success: false, error_code: "CALL_UNANSWERED" }]);
    expect(call).toMatchObject({ state: "ANSWERED", ringing: false });
  });

  it("answers TIMEOUT when the timeout is shorter than the ringing, which goes on", () => {
    const call = place();
    media.command("1", "call.connect", { ringTimeSeconds: 10 }, 1000);
    clock.advance(1200);
    expect(media.responses("1")).toMatchObject([{ success: false, error_code: "TIMEOUT" }]);
    clock.advance(1000);
    expect(call.state).toBe("CONNECTED");
    expect(media.responses("1").length).toBe(1);
  });

  it.each([0, 121, 1.5, "5"])("refuses a ring time of %s", (ringTimeSeconds) => {
    const call = place();
    media.command("1", "call.connect", { ringTimeSeconds });
    expect(media.responses("1")).toMatchObject([{ success: false, error_code: "INVALID_REQUEST" }]);
    expect(call.ringing).toBe(false);
  });

  it("refuses commands of the wrong state without an effect", () => {
    const call = place();
    for (const command of ["agent.whisper", "agent.barge", "agent.spy", "agent.interrupt"])
      media.command(command, command);
    media.command("dance", "agent.dance");
    expect(media.texts.map(({ data }) => data.error_code)).toEqual([
      "INVALID_STATE",
      "INVALID_STATE",
      "INVALID_STATE",
      "INVALID_STATE",
      "INVALID_COMMAND",
    ]);
    media.command("a1", "call.answer");
    media.command("a2", "call.answer");
    expect(media.responses("a2")).toMatchObject([{ error_code: "INVALID_STATE" }]);
    expect(call.state).toBe("ANSWERED");
  });

  it("answers a repeated command id again without a second effect", () => {
    place();
    media.command("1", "call.answer");
    media.command("1", "call.answer");
    expect(media.responses("1")).toEqual([
      { command_id: "1", success: true, result: null },
      { command_id: "1", success: true, result: null },
    ]);
  });

  it.each(["call.close", "call.disconnect"])("ends an answered call by %s, the answer first", (command) => {
    const call = place();
    media.command("1", "call.answer");
    media.command("2", command);
    expect(call.state).toBe("DISCONNECTED");
    expect(media.texts.map(({ type }) => type).slice(-2)).toEqual(["command_response", "call_event"]);
    expect(media.closed).toBe(1000);
    expect(closed).toEqual([command === "call.close" ? "SDK_REQUEST" : "CALL_TERMINATED"]);
  });

  it("answers the pending connect and says terminated when the caller hangs up while it rings", () => {
    const call = place({ caller: [wait(1), hangUp()] });
    media.command("1", "call.answer");
    media.command("2", "call.connect", { ringTimeSeconds: 60 });
    clock.advance(1500);
    expect(call.endReason).toBe("caller_hung_up");
    expect(media.responses("2")).toMatchObject([{ success: false, error_code: "CALL_TERMINATED" }]);
    expect(media.terminated).toBe(1);
    clock.advance(120_000);
    expect(call.state).toBe("DISCONNECTED");
    expect(clock.pendingTimers).toBe(0);
  });

  it("survives a callee who hangs up right after picking up: the agent and the caller stay", () => {
    const call = place({ subscriber: [callee.hangsUpAfterPickUp({ afterSeconds: 1 })] });
    media.speaks = true;
    media.command("1", "call.connect", {});
    clock.advance(2000);
    expect(media.responses("1")).toMatchObject([{ success: true }]);
    expect(call).toMatchObject({ state: "CONNECTED", ringing: false });
    expect(call.callee.state).toBe("left");
    expect(audible(call)).toEqual(["caller<agent", "agent<caller"]);
    media.command("2", "call.close");
    expect(call.endReason).toBe("callee_hung_up");
  });

  it("lets a voicemail pick up, greet, beep and listen", async () => {
    const greeting = "Leave a message.";
    const { samples } = await sharedVoice.say(greeting, "rms");
    const call = place({ caller: [], subscriber: [callee.voicemail({ afterSeconds: 1, greeting })] });
    media.command("1", "call.connect", {});
    clock.advance(1600);
    expect(media.responses("1")).toMatchObject([{ success: true }]);
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(samples.length / 16 + 1000);
    const greeted = soundSpans(call.recording.agent, RATE, { bridgeMs: 300 });
    expect(greeted.length).toBe(1);
    const beep = toneSpans(call.recording.agent, RATE, 1000, { thresholdAmplitude: 6000 }).at(-1)!;
    expect(beep.endMs - beep.startMs).toBeGreaterThanOrEqual(380);
    expect(call.callee.scriptFinished).toBe(true);
    expect(call.state).toBe("CONNECTED");
  });

  it("reports a rejected call before the ring time is over", () => {
    const call = place({ subscriber: [callee.rejects(1)] });
    media.command("1", "call.connect", { ringTimeSeconds: 60 });
    clock.advance(1100);
    expect(media.responses("1")).toMatchObject([{ error_code: "CALL_UNANSWERED" }]);
    expect(call.state).toBe("PENDING");
  });

  it("plays in real time, and interrupt drops what is buffered", () => {
    const call = place({ caller: [] });
    media.command("1", "call.answer");
    clock.advance(40);
    media.speakNow();
    clock.advance(500);
    expect(call.stats.bufferedMs).toBeGreaterThan(400);
    media.command("2", "agent.interrupt");
    clock.advance(500);
    const heard = call.recording.agentSpansAt("caller");
    expect(heard.length).toBe(1);
    expect(heard[0]!.endMs - heard[0]!.startMs).toBeLessThan(540);
    expect(call.stats.interruptedBytes).toBeGreaterThan(400 * 16);
  });

  it("keeps an answered call whose media connection is lost, for a time", () => {
    const call = place({ options: { mediaLostGraceMs: 5000 } });
    media.command("1", "call.answer");
    call.detachMedia(media, 1006);
    expect(lost).toBe(1);
    clock.advance(4000);
    const second = new FakeMedia();
    second.call = call;
    call.attachMedia(second);
    clock.advance(60_000);
    expect(call.state).toBe("ANSWERED");
    call.detachMedia(second, 1006);
    clock.advance(5100);
    expect(call.endReason).toBe("media_lost");
  });

  it("replaces an older media connection and ignores its end", () => {
    const call = place();
    const second = new FakeMedia();
    second.call = call;
    call.attachMedia(second);
    expect(media.closed).toBe(4000);
    call.detachMedia(media, 4000);
    expect(call.mediaConnected).toBe(true);
    expect(lost).toBe(0);
  });

  it("drops audio, not the call, for an agent that does not read", () => {
    const call = place();
    media.command("1", "call.answer");
    media.bufferedAmount = 2 * 1024 * 1024;
    clock.advance(1000);
    expect(media.audio).toEqual([]);
    expect(call.stats.framesDropped).toBeGreaterThan(40);
  });

  it("rings back only when configured", () => {
    const quiet = place();
    clock.advance(900);
    expect(toneAmplitude(quiet.recording.caller, RATE, 425)).toBe(0);
    const loud = place({ options: { ringback: true } });
    clock.advance(900);
    expect(toneAmplitude(loud.recording.caller, RATE, 425)).toBeGreaterThan(2000);
  });

  describe("faults", () => {
    it("delays, swallows, refuses and repeats answers", () => {
      const call = place();
      call.faults.delayResponse(2000, "call.answer");
      call.faults.swallowResponse("agent.interrupt");
      call.faults.onCommand({ command: "call.connect", errorCode: "INTERNAL_ERROR" });
      call.faults.onCommand({ command: "call.disconnect", responses: 2 });
      media.command("1", "call.answer");
      expect(call.state).toBe("ANSWERED");
      clock.advance(1900);
      expect(media.responses("1")).toEqual([]);
      clock.advance(200);
      expect(media.responses("1").length).toBe(1);
      media.command("2", "agent.interrupt");
      media.command("3", "call.connect", {});
      expect(media.responses("3")).toMatchObject([{ error_code: "INTERNAL_ERROR" }]);
      clock.advance(60_000);
      expect(media.responses("2")).toEqual([]);
      media.command("4", "call.disconnect");
      expect(media.responses("4").length).toBe(2);
    });

    it("turns an answer that is too late into TIMEOUT, unless it is to come late", () => {
      const call = place();
      call.faults.delayResponse(2000);
      media.command("1", "call.answer", undefined, 1000);
      clock.advance(3000);
      expect(media.responses("1")).toMatchObject([{ error_code: "TIMEOUT" }]);
      call.faults.onCommand({ delayMs: 2000, ignoreTimeout: true });
      media.command("2", "agent.interrupt", undefined, 1000);
      clock.advance(3000);
      expect(media.responses("2")).toMatchObject([{ success: true }]);
    });

    it("repeats and reorders events, and delays the end", () => {
      const call = place();
      media.command("1", "call.answer");
      call.faults.duplicateEvents(1);
      call.sendError("A");
      call.faults.reorderEvents(2);
      call.sendError("B");
      call.sendError("C");
      const codes = media.texts.flatMap(({ data }) => (data.error_code ? [data.error_code] : []));
      expect(codes).toEqual(["A", "A", "C", "B"]);
      call.faults.delayTerminated(3000);
      call.hangUp();
      expect(media.terminated).toBe(0);
      expect(closed).toEqual(["CALL_TERMINATED"]);
      clock.advance(3000);
      expect(media.terminated).toBe(1);
    });

    it("stops pulling and floods", () => {
      const call = place();
      media.command("1", "call.answer");
      media.speaks = true;
      clock.advance(1000);
      call.faults.stallCredit(1500);
      const before = call.stats.grants;
      clock.advance(1400);
      expect(call.stats.grants).toBe(before);
      clock.advance(500);
      expect(call.stats.grants).toBeGreaterThan(before);
      expect(call.stats.starvedMs).toBeGreaterThan(300);
      const frames = media.audio.length;
      call.faults.floodAudio(2000);
      clock.advance(40);
      expect(media.audio.length - frames).toBeGreaterThanOrEqual(100);
    });
  });
});
