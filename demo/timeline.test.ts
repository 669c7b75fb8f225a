import type { CallContext } from "callweave";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { GatewayEvent } from "./evidence.js";
import { gatewayLine, providerLine, TimelinePrinter, turnLines } from "./timeline.js";

describe("TimelinePrinter", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("prints plain lines in the order of their times", () => {
    const written: string[] = [];
    const printer = new TimelinePrinter((text) => written.push(text), false);
    printer.line({ atMs: 2000, lane: "event", text: "second" });
    printer.line({ atMs: 1000, lane: "caller", text: "first" });
    expect(written).toEqual([]);
    vi.advanceTimersByTime(1000);
    expect(written).toEqual(["   1.0 s  caller      first\n", "   2.0 s  event       second\n"]);
  });

  it("prints colours when asked to, and what waits at the end", () => {
    const written: string[] = [];
    const printer = new TimelinePrinter((text) => written.push(text), true);
    printer.line({ atMs: 0, lane: "agent", text: "hello" });
    printer.flush();
    expect(written.join("")).toContain("\u001b[35m");
  });
});

describe("lines", () => {
  it("tell commands by who gave them", () => {
    const event = { type: "commandStarted", verb: "EscalateCall", atMs: 5 } as unknown as GatewayEvent;
    expect(gatewayLine(event)).toEqual({ atMs: 5, lane: "command", text: "agent: EscalateCall" });
    const frame = { atMs: 6, direction: "in", type: "call.connect", data: {} } as const;
    expect(providerLine(frame)).toEqual({ atMs: 6, lane: "command", text: "gateway: call.connect" });
    expect(providerLine({ ...frame, type: "buffer_request", direction: "out" })).toBeUndefined();
  });

  it("show each turn once", () => {
    const context = {
      turns: [
        { id: "1", role: "AI", text: "Hello." },
        { id: "2", role: "CALLER", text: "hi" },
      ],
    } as unknown as CallContext;
    const lines = turnLines(context, new Set(["1"]), () => 7);
    expect(lines).toEqual([{ id: "2", atMs: 7, lane: "agent", text: "understood: hi" }]);
  });
});
