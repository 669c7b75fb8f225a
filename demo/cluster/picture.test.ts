import { describe, expect, it } from "vitest";
import { drawCluster } from "./picture.js";
import { madeRound } from "./testing/made-evidence.js";
import { verifyCluster } from "./verifier.js";

describe("drawCluster", () => {
  it("has a row for each call, the dead gateway and the time without a database", () => {
    const round = madeRound();
    const svg = drawCluster(round, verifyCluster(round));
    for (const text of ["SIGKILL of gateway-1", "MongoDB is dead", "1  agent-one", "6  agent-nats"])
      expect(svg).toContain(`>${text}</text>`);
    expect(svg).toContain("19 checks passed");
    // Three calls in two pieces, three in one; three with a human; the legend.
    expect(svg.match(/<rect /g)).toHaveLength(1 + 1 + 9 + 3 + 4);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("says what failed, also when an agent never came back", () => {
    const round = madeRound();
    round.calls[0]?.heardAgent.pop();
    const svg = drawCluster(round, verifyCluster(round));
    expect(svg).toContain("failed: their callers");
    expect(svg).toContain("never (p99)");
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });
});
