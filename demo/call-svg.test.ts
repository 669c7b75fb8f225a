import { describe, expect, it } from "vitest";
import { drawCall } from "./call-svg.js";
import { escapeText, placeLabels, wrap } from "./svg-tools.js";
import { makeCall, speakNoise } from "./testing/made-evidence.js";
import type { TimelineLine } from "./timeline.js";
import { verify } from "./verifier.js";

async function picture(lines: readonly TimelineLine[]): Promise<string> {
  const { evidence, expected } = await makeCall({ caller: "asks", callee: "picks-up" });
  return drawCall(evidence, await verify(evidence, expected, speakNoise), lines);
}

describe("drawCall", () => {
  it("has a lane for each party, for events and for commands, and what was said", async () => {
    const svg = await picture([
      { atMs: 5000, lane: "caller", text: "“What is your address?”" },
      { atMs: 5100, lane: "agent", text: "understood: what is your address" },
      { atMs: 20_000, lane: "event", text: "the specialist picks up" },
      { atMs: 20_010, lane: "command", text: "gateway: call.close" },
      { atMs: 21_000, lane: "specialist", text: "“Tom & <Co>”" },
    ]);
    for (const text of ["Caller", "Agent", "Specialist", "Events", "Commands", "What is your address?"]) {
      expect(svg).toContain(`>${text}</text>`);
    }
    expect(svg).toContain("✓ understood");
    expect(svg).toContain("Tom &amp; &lt;Co&gt;");
    expect(svg).toContain("the specialist picks up");
    expect(svg).toContain("gateway: call.close");
    expect(svg).toMatch(/^<svg [^>]*width="\d+/);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    expect(svg.length).toBeLessThan(100_000);
  });

  it("can be drawn of a call of which nothing is known", async () => {
    const { evidence, expected } = await makeCall({ caller: "silent", callee: "picks-up" });
    const empty = { ...evidence, gatewayEvents: [], providerEvents: [], context: undefined, durationMs: 0 };
    const svg = drawCall(empty, await verify(empty, expected, speakNoise), []);
    expect(svg).toContain("failed: ");
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe("placeLabels", () => {
  it("puts labels that would overlap into rows of their own", () => {
    const placed = placeLabels(
      [
        { x: 0, text: "a long label" },
        { x: 10, text: "another" },
        { x: 400, text: "far away" },
      ],
      10,
      1000,
    );
    expect(placed.map(({ row }) => row)).toEqual([0, 1, 0]);
  });

  it("turns a label at the right edge to the left", () => {
    expect(placeLabels([{ x: 990, text: "the end" }], 10, 1000)[0]?.anchor).toBe("end");
  });
});

describe("wrap", () => {
  it("breaks between words alone", () => {
    expect(wrap("one two three", 40, 10)).toEqual(["one two", "three"]);
    expect(wrap("unbreakable", 10, 10)).toEqual(["unbreakable"]);
    expect(wrap("", 10, 10)).toEqual([]);
  });
});

describe("escapeText", () => {
  it("leaves no markup", () => {
    expect(escapeText("a < b & c > d")).toBe("a &lt; b &amp; c &gt; d");
  });
});
