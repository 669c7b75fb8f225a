import { describe, expect, it } from "vitest";
import { CachedTextToSpeech } from "./cached-text-to-speech.js";
import { FallbackTextToSpeech } from "./fallback-text-to-speech.js";
import { SpeechError, type TextToSpeech } from "./ports.js";

class Tts implements TextToSpeech {
  spoken: string[] = [];
  closed = false;
  constructor(
    readonly name: string,
    private readonly failure?: SpeechError,
  ) {}
  async warmUp() {}
  async close() {
    this.closed = true;
  }
  async speak(text: string) {
    this.spoken.push(text);
    if (this.failure) throw this.failure;
    async function* chunks() {
      yield Buffer.alloc(text.length * 2, 1);
      yield Buffer.alloc(text.length * 2, 2);
    }
    return { sampleRateHz: 16_000, chunks: chunks() };
  }
}

async function bytes(tts: TextToSpeech, text: string, voice?: string): Promise<number> {
  const audio = await tts.speak(text, { locale: "en", ...(voice ? { voice } : {}) });
  let sum = 0;
  for await (const chunk of audio.chunks) sum += chunk.length;
  return sum;
}

describe("CachedTextToSpeech", () => {
  it("asks for a text once per voice", async () => {
    const inner = new Tts("inner");
    const tts = new CachedTextToSpeech(inner);
    expect(await bytes(tts, "hello")).toBe(20);
    expect(await bytes(tts, "hello")).toBe(20);
    await bytes(tts, "hello", "other");
    expect(inner.spoken).toEqual(["hello", "hello"]);
  });

  it("forgets what was used longest ago when it is full", async () => {
    const inner = new Tts("inner");
    const tts = new CachedTextToSpeech(inner, { maxBytes: 50 });
    for (const text of ["aaaaa", "bbbbb", "aaaaa", "ccccc", "aaaaa", "bbbbb"]) await bytes(tts, text);
    expect(inner.spoken).toEqual(["aaaaa", "bbbbb", "ccccc", "bbbbb"]);
  });

  it("keeps no text that was not heard to its end, and none that is long", async () => {
    const inner = new Tts("inner");
    const tts = new CachedTextToSpeech(inner, { maxTextChars: 5 });
    const audio = await tts.speak("hello", { locale: "en" });
    for await (const _ of audio.chunks) break;
    await bytes(tts, "hello");
    await bytes(tts, "too long");
    await bytes(tts, "too long");
    expect(inner.spoken).toHaveLength(4);
  });

  it("gets texts ready", async () => {
    const inner = new Tts("inner");
    const tts = new CachedTextToSpeech(inner);
    await tts.preload(["a", "b"], { locale: "en" });
    await bytes(tts, "a");
    expect(inner.spoken).toEqual(["a", "b"]);
    await tts.close();
    expect(inner.closed).toBe(true);
  });
});

describe("FallbackTextToSpeech", () => {
  it("says it with the second when the first fails", async () => {
    const failures: string[] = [];
    const second = new Tts("second");
    const first = new Tts("first", new SpeechError("PROVIDER_FAILED", "first", "down"));
    const tts = new FallbackTextToSpeech(first, second, (error) => failures.push(error.reason));
    expect(await bytes(tts, "hello", "a voice of the first")).toBe(20);
    expect(failures).toEqual(["PROVIDER_FAILED"]);
  });

  it("does not when it was the caller of the port that gave up", async () => {
    const second = new Tts("second");
    const tts = new FallbackTextToSpeech(new Tts("first", new SpeechError("ABORTED", "first", "…")), second);
    await expect(bytes(tts, "hello")).rejects.toMatchObject({ reason: "ABORTED" });
    expect(second.spoken).toEqual([]);
  });
});

describe("SpeechError", () => {
  it("takes anything thrown, with its cause", () => {
    const cause = new Error("boom");
    expect(SpeechError.from(cause, "x")).toMatchObject({ reason: "PROVIDER_FAILED", provider: "x", cause });
    const abort = Object.assign(new Error("gone"), { name: "AbortError" });
    expect(SpeechError.from(abort, "x").reason).toBe("ABORTED");
    expect(SpeechError.from("text", "x").message).toBe("x: text");
    const same = new SpeechError("OVERLOADED", "y", "z");
    expect(SpeechError.from(same, "x")).toBe(same);
  });
});
