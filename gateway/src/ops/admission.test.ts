import { describe, expect, it } from "vitest";
import { silentLogger } from "../util/logger.js";
import { Admission, type AdmissionOptions } from "./admission.js";
import type { LoopWindow } from "./event-loop.js";

function injected(options: Partial<AdmissionOptions> = {}) {
  const listeners = new Set<(window: LoopWindow) => void>();
  const said: string[] = [];
  const logger = {
    ...silentLogger,
    warn: (_: object, text: string) => said.push(`warn ${text}`),
    info: (_: object, text: string) => said.push(`info ${text}`),
  } as unknown as typeof silentLogger;
  const source = {
    onWindow(listener: (window: LoopWindow) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const admission = new Admission(
    source,
    { shedAboveMs: 250, resumeBelowMs: 100, windows: 2, ...options },
    logger,
  );
  const late = (...delays: number[]) => {
    for (const p99Ms of delays)
      for (const listener of listeners) listener({ p50Ms: 0, p99Ms, maxMs: p99Ms, utilization: 1 });
  };
  return { admission, late, said, listeners };
}

describe("admission by the delay of the event loop", () => {
  it("closes at the edge: after two windows of 250 ms, not of 249 (fault 55)", () => {
    const { admission, late } = injected();
    late(249, 249, 249, 249);
    expect(admission.admit()).toBe(true);
    late(250);
    expect(admission.admit()).toBe(true);
    late(250);
    expect(admission.admit()).toBe(false);
  });

  it("is not closed by single stalls", () => {
    const { admission, late } = injected();
    for (let i = 0; i < 20; i++) late(5_000, 0);
    expect(admission.shedding).toBe(false);
    expect(admission.admit()).toBe(true);
  });

  it("opens again only below the lower edge, and stays as it is in between", () => {
    const { admission, late, said } = injected();
    late(300, 300);
    late(200, 100, 100, 249, 99, 100, 99);
    expect(admission.admit()).toBe(false);
    late(99);
    expect(admission.admit()).toBe(true);
    late(200, 200, 200);
    expect(admission.admit()).toBe(true);
    expect(said).toEqual([
      "warn overloaded: new calls are left to the provider",
      "info no longer overloaded: new calls are taken",
    ]);
  });

  it("counts what it left, once per question", () => {
    const { admission, late } = injected({ windows: 1 });
    admission.admit();
    late(400);
    for (let i = 0; i < 3; i++) admission.admit();
    late(0);
    admission.admit();
    expect(admission.left).toBe(3);
  });

  it("never closes with 0, and listens no more when it is stopped", () => {
    const off = injected({ shedAboveMs: 0 });
    expect(off.listeners.size).toBe(0);
    const on = injected({ windows: 1 });
    on.admission.stop();
    on.late(10_000);
    expect(on.admission.admit()).toBe(true);
  });
});
