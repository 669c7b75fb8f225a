import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { FakeCall } from "../testing/fake-call.js";
import { FakeSpeechToText, FakeVoiceActivity, SILENT_FRAME, SPEECH_FRAME } from "../testing/fake-speech.js";
import { type Heard, Listener, type ListenerOptions } from "./listener.js";

function start(options: Partial<ListenerOptions> = {}) {
  const call = new FakeCall();
  const stt = new FakeSpeechToText();
  const heard: Heard[] = [];
  const started: number[] = [];
  const resampler = { process: (pcm: Buffer) => pcm, reset() {}, close() {} };
  const listener = new Listener(
    call,
    { vad: new FakeVoiceActivity(), stt, resampler },
    { locale: "en", ...options },
    { started: () => started.push(1), ended: (item) => heard.push(item) },
  );
  const over = listener.run();
  const settle = async () => {
    for (let i = 0; i < 10; i++) await setImmediate();
  };
  return { call, stt, heard, started, listener, over, settle };
}

describe("Listener", () => {
  it("sends the audio before the onset too, and ends the utterance in the silence", async () => {
    const { call, stt, heard, settle, listener } = start({ preRollMs: 100 });
    stt.next.push("hello");
    for (let i = 0; i < 20; i++) call.hear(SILENT_FRAME);
    for (let i = 0; i < 10; i++) call.hear(SPEECH_FRAME);
    for (let i = 0; i < 5; i++) call.hear(SILENT_FRAME);
    await settle();
    expect(heard).toHaveLength(1);
    expect((await heard[0]?.transcript)?.text).toBe("hello");
    // 100 ms before, 200 ms of speech, 60 ms of silence.
    expect(stt.bytes).toEqual([((100 + 200 + 60) / 20) * 640]);
    expect(heard[0]?.durationMs).toBe(260);
    listener.close();
  });

  it("holds silence back until the caller speaks on", async () => {
    const { call, stt, heard, settle, listener } = start({ preRollMs: 0, keepSilenceMs: 20 });
    for (let i = 0; i < 5; i++) call.hear(SPEECH_FRAME);
    for (let i = 0; i < 2; i++) call.hear(SILENT_FRAME);
    for (let i = 0; i < 5; i++) call.hear(SPEECH_FRAME);
    for (let i = 0; i < 3; i++) call.hear(SILENT_FRAME);
    await settle();
    await heard[0]?.transcript;
    expect(stt.bytes).toEqual([13 * 640]);
    listener.close();
  });

  it("takes audio in any portions", async () => {
    const { call, heard, settle, started, listener } = start();
    const audio = Buffer.concat([...Array(10).fill(SPEECH_FRAME), ...Array(5).fill(SILENT_FRAME)]);
    for (let at = 0; at < audio.length; at += 222) call.hear(audio.subarray(at, at + 222));
    await settle();
    expect(started).toHaveLength(1);
    expect(heard).toHaveLength(1);
    listener.close();
  });

  it("ends an utterance at its bound although the caller speaks on", async () => {
    const { call, heard, settle, started, listener } = start({ maxUtteranceMs: 200 });
    for (let i = 0; i < 25; i++) call.hear(SPEECH_FRAME);
    await settle();
    expect(heard.map(({ durationMs }) => durationMs)).toEqual([200, 200]);
    expect(started.length).toBe(3);
    listener.close();
  });

  it("ends an utterance at a gap and starts anew behind it", async () => {
    const { call, heard, settle, started, listener } = start();
    for (let i = 0; i < 5; i++) call.hear(SPEECH_FRAME);
    call.hear({ kind: "GAP", gapMs: 500 });
    for (let i = 0; i < 5; i++) call.hear(SPEECH_FRAME);
    await settle();
    expect(heard).toHaveLength(1);
    expect(started).toHaveLength(2);
    expect(listener.callerSpeaks).toBe(true);
    listener.close();
    expect(listener.callerSpeaks).toBe(false);
  });

  it("ends with the call", async () => {
    const { call, over } = start();
    call.end();
    await over;
  });
});
