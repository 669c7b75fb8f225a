import { type ReattachCall, ServeRequest } from "@callweave/proto";
import { describe, expect, it } from "vitest";
import { fitReattach } from "./reattach.js";

const MAX_BYTES = 256 * 1024;
const TOKEN = "t".repeat(200);

function calls(count: number, fill: string): ReattachCall[] {
  return Array.from({ length: count }, (_, i) => ({
    callId: String(i).padEnd(200, fill),
    epoch: Number.MAX_SAFE_INTEGER,
    lastEventSequence: Number.MAX_SAFE_INTEGER,
  }));
}

function bytes(reattach: ReturnType<typeof fitReattach>["reattach"]): number {
  const items = [{ item: { $case: "reattach" as const, value: reattach } }];
  return ServeRequest.encode(ServeRequest.fromPartial({ items })).finish().length;
}

describe("fitReattach()", () => {
  it("has room for the largest capacity, with the longest ids and largest numbers", () => {
    const { reattach, left } = fitReattach(TOKEN, calls(1_000, "x"), MAX_BYTES);
    expect(reattach.calls).toHaveLength(1_000);
    expect(left).toEqual([]);
    expect(bytes(reattach)).toBeLessThanOrEqual(MAX_BYTES);
  });

  it("leaves out what has no room, in order", () => {
    const all = calls(1_000, "ü");
    const { reattach, left } = fitReattach(TOKEN, all, MAX_BYTES);
    expect(left.length).toBeGreaterThan(0);
    expect([...reattach.calls, ...left]).toEqual(all);
    expect(bytes(reattach)).toBeLessThanOrEqual(MAX_BYTES);
    // No more than needed.
    const one = fitReattach("", all.slice(0, 1), MAX_BYTES).reattach;
    expect(bytes(reattach) + bytes(one) + 128).toBeGreaterThan(MAX_BYTES);
  });
});
