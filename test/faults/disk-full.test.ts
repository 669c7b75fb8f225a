import { describe, expect, it } from "vitest";
import { until } from "../harness/gateway.js";
import { rejection, useRig } from "../harness/rig.js";
import { startServed } from "../harness/served.js";
import { noSmallDisk, smallDisk } from "../harness/small-disk.js";
import { startWitness, WITNESS_CONFIG } from "../harness/witness.js";

const rig = useRig();
const DISK_MIB = 4;
const why = noSmallDisk();
if (why && process.env.CI) throw new Error(why);
if (why) console.log(`skipped: a full disk (${why})`);

describe.skipIf(why)("the disk of the state folder is full", () => {
  it("calls go on, what cannot be stored is said so, and it stores again when there is room (fault 50)", async () => {
    const disk = await smallDisk(rig, DISK_MIB);
    const served = await startServed(rig, { config: WITNESS_CONFIG, stateDir: disk.path });
    const { simulator, child } = served;
    const witness = await startWitness(rig, served);
    const trail = await rig.trail(served.address);
    const agent = await rig.agent(served.address);
    const phone = simulator.placeCall({ from: "+15550123" });
    await phone.waitFor("ANSWERED");
    const call = await agent.call();
    await call.appendTurns([{ role: "CALLER", text: "Said while there was room." }]);
    const before = trail.events.length;
    expect(trail.events.every(({ durable }) => durable)).toBe(true);

    disk.fill();
    // There may be room left in pages that the store has already: it is used up.
    const refused = await until(async () => {
      const outcome = await call
        .appendTurns([{ role: "AI", text: "x".repeat(3_000) }])
        .catch((error) => error);
      return outcome instanceof Error ? outcome : undefined;
    }, "a refusal");
    expect(refused).toMatchObject({ reason: "CONTEXT_NOT_SAVED" });
    // New calls are taken and old ones go on: their events are told, and it is said that no store has them.
    const during = simulator.placeCall({ from: "+15550124" });
    await during.waitFor("ANSWERED");
    await (await agent.call(2)).updateContext({ summary: "s" }).catch(() => {});
    await trail.waitFor("answered", (event) => event.callId === during.id);
    expect(await witness.missing()).toEqual([]);
    expect(trail.events.slice(before).some(({ durable }) => !durable)).toBe(true);
    expect(await rejection(call.updateContext({ summary: "still full" }))).toMatchObject({
      reason: "CONTEXT_NOT_SAVED",
    });
    expect(child.running).toBe(true);
    expect(`${child.stdout}`).toMatch(/ENOSPC|No space|MDB_MAP_FULL|space/i);

    disk.empty();
    await until(
      () =>
        call.updateContext({ summary: "There is room again." }).then(
          () => true,
          () => false,
        ),
      "a context that is stored",
    );
    const after = simulator.placeCall({ from: "+15550125" });
    await after.waitFor("ANSWERED");
    const stored = await trail.waitFor("answered", (event) => event.callId === after.id);
    expect(stored.durable).toBe(true);
    expect(await call.getContext()).toMatchObject({ summary: "There is room again." });
    expect(await witness.missing()).toEqual([]);
    expect(trail.all("ended")).toEqual([]);
    expect(child.lines.filter(({ msg }) => msg === "unexpected error")).toEqual([]);
  });
});
