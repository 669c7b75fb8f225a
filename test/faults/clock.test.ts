import { callee } from "@callweave/simulator";
import { expect, it, vi } from "vitest";
import { holesIn, toneBytes } from "../harness/audio.js";
import { useRig } from "../harness/rig.js";
import { startWitness, WITNESS_CONFIG } from "../harness/witness.js";

const rig = useRig();
const HOUR_MS = 3_600_000;

/** The wall clock of this process, with everything that runs in it, as it would be after a step of NTP. */
function movableClock(): { jump(ms: number): void } {
  const Real = Date;
  let offsetMs = 0;
  class Moved extends Real {
    constructor(...given: unknown[]) {
      super(...((given.length === 0 ? [Real.now() + offsetMs] : given) as [number]));
    }
    static override now(): number {
      return Real.now() + offsetMs;
    }
    static override [Symbol.hasInstance](value: unknown): boolean {
      return Object.prototype.toString.call(value) === "[object Date]";
    }
  }
  vi.stubGlobal("Date", Moved);
  rig.defer(() => vi.unstubAllGlobals());
  return {
    jump: (ms) => {
      offsetMs += ms;
    },
  };
}

it("an hour forwards and two back, in the middle of calls: nobody notices (fault 48)", async () => {
  const clock = movableClock();
  const stack = await rig.stack({ config: WITNESS_CONFIG });
  const witness = await startWitness(rig, stack);
  const { cursor } = await rig.client(stack).calls.list();
  const trail = await rig.trail(stack, cursor);
  const agent = await rig.agent(stack);
  const first = stack.simulator.placeCall({ from: "+15550121", callee: callee.never() });
  const one = await agent.call(1);
  await first.waitFor("ANSWERED");

  const beforeMs = Date.now();
  clock.jump(HOUR_MS);
  expect(Date.now() - beforeMs).toBeGreaterThanOrEqual(HOUR_MS);
  expect(await witness.missing()).toEqual([]);
  // Longer than three heartbeats and the grace together would be, had they gone by the wall clock.
  expect(
    trail.all("seatChanged").filter(({ cause }) => cause === "LOST" || cause === "GRACE_EXPIRED"),
  ).toEqual([]);
  const second = stack.simulator.placeCall({ from: "+15550122" });
  await second.waitFor("ANSWERED");
  const two = await agent.call(2);
  await two.appendTurns([{ role: "CALLER", text: "said an hour later" }]);

  // Two hours back while it rings: it rings as long as it was told to.
  const ringing = one.escalate({
    reason: "ASKED_FOR_HUMAN",
    summary: "Rings while the clock is set back.",
    target: { callee: { ringTimeSeconds: 3 } },
  });
  await first.waitForEvent("ringing");
  const startMs = performance.now();
  clock.jump(-2 * HOUR_MS);
  await two.play(toneBytes(440, 800));
  expect(await two.drained()).toBe("PLAYED");
  expect(await ringing).toMatchObject({ outcome: "UNANSWERED" });
  expect(performance.now() - startMs).toBeLessThan(15_000);
  expect(await witness.missing()).toEqual([]);
  expect((await two.getContext()).turns).toHaveLength(1);
  await two.disconnect();
  await second.waitFor("DISCONNECTED");
  await trail.waitFor("ended", (event) => event.callId === second.id);

  // A reader of the history gets everything once, in the order of the store.
  const again = await rig.trail(stack, cursor);
  const seen = (events: typeof trail.events) => events.map(({ callId, sequence }) => `${callId} ${sequence}`);
  expect(seen(again.events).slice(0, trail.events.length)).toEqual(seen(trail.events));
  expect(trail.all("ended").map(({ callId }) => callId)).toEqual([second.id]);
  expect(holesIn(trail.events.filter(({ callId }) => callId === first.id).map((e) => e.sequence))).toEqual(
    [],
  );
});
