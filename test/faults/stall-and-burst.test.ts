import { describe, expect, it } from "vitest";
import { until } from "../harness/gateway.js";
import { useRig } from "../harness/rig.js";
import { startServed } from "../harness/served.js";
import { startWitness, WITNESS_CONFIG } from "../harness/witness.js";

const rig = useRig();
/** Calls that the gateway may have in the first test; one of them is the witness. */
const MAX_CALLS = 5;
const STALL_MS = 1_000;

describe("too much", () => {
  it("many calls at once: those beyond the limit are left alone, new ones are taken when there is room (fault 55)", async () => {
    const stack = await rig.stack({
      config: { ...WITNESS_CONFIG, gateway: { limits: { max_calls: MAX_CALLS } } },
    });
    const { simulator } = stack;
    const witness = await startWitness(rig, stack);
    const agent = await rig.agent(stack, { capacity: 100 });
    const phones = Array.from({ length: 3 * MAX_CALLS }, (_, i) =>
      simulator.placeCall({ from: `+155501${String(i + 20).padStart(2, "0")}` }),
    );
    const taken = () => phones.filter(({ state }) => state === "ANSWERED");
    await until(() => taken().length >= MAX_CALLS - 1, "as many calls as it may have");
    expect(await witness.missing()).toEqual([]);
    expect(taken()).toHaveLength(MAX_CALLS - 1);
    // The others were not even asked for: another gateway, or the original callee, may have them.
    const left = phones.filter((phone) => !taken().includes(phone));
    for (const phone of left) {
      expect(phone.state).toBe("PENDING");
      expect(phone.events.filter(({ type }) => type === "session.open")).toEqual([]);
    }
    expect((await rig.client(stack).calls.list()).calls).toHaveLength(MAX_CALLS);
    expect(agent.given).toHaveLength(MAX_CALLS - 1);
    const trail = await rig.trail(stack);
    taken()[0]?.hangUp();
    await trail.waitFor("ended");
    await simulator.placeCall({ from: "+15550150" }).waitFor("ANSWERED");
    expect(await witness.missing()).toEqual([]);
  });

  it("a gateway that stood still for a second: no seat lost, no frame missing (fault 49)", async () => {
    const served = await startServed(rig, { config: WITNESS_CONFIG });
    const witness = await startWitness(rig, served);
    const trail = await rig.trail(served.address);
    const agent = await rig.agent(served.address);
    const phone = served.simulator.placeCall({ from: "+15550123" });
    await phone.waitFor("ANSWERED");
    await agent.call();
    served.child.signal("SIGSTOP");
    // A call that comes meanwhile is taken afterwards.
    const during = served.simulator.placeCall({ from: "+15550124" });
    await new Promise((resolve) => setTimeout(resolve, STALL_MS));
    served.child.signal("SIGCONT");
    await during.waitFor("ANSWERED");
    expect(await witness.missing()).toEqual([]);
    const lost = trail
      .all("seatChanged")
      .filter(({ cause }) => cause === "LOST" || cause === "GRACE_EXPIRED");
    expect(lost).toEqual([]);
    expect(trail.all("ended")).toEqual([]);
    const maxDelay = async () => {
      const text = await (await fetch(`http://127.0.0.1:${served.opsPort}/metrics`)).text();
      return Number(/^callweave_event_loop_delay_seconds\{quantile="1"\} (\S+)$/m.exec(text)?.[1] ?? 0);
    };
    await until(async () => (await maxDelay()) > (STALL_MS / 1000) * 0.8, "the metric of the delay");
  });
});
