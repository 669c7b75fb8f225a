import { afterEach, describe, expect, it, vi } from "vitest";
import { PocketsphinxSpeechToText } from "./pocketsphinx.js";

describe("PocketsphinxSpeechToText", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it("fails at once when its program cannot be started, and leaves no timer and nothing to wait for", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const stt = new PocketsphinxSpeechToText({
      python: { python: "/nonexistent/callweave-python", env: {} },
      startTimeoutMs: 60_000,
    });
    await expect(stt.warmUp()).rejects.toMatchObject({ reason: "PROVIDER_FAILED", provider: "pocketsphinx" });
    expect(vi.getTimerCount()).toBe(0);
    expect(stt.pid).toBeUndefined();
    await stt.close();
  });
});
