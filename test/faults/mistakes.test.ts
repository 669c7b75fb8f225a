import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { Call } from "../../gateway/src/call/call.js";
import { until } from "../harness/gateway.js";
import { useRig } from "../harness/rig.js";
import { startServed } from "../harness/served.js";
import { startWitness, WITNESS_CONFIG } from "../harness/witness.js";

const rig = useRig();
const VICTIM = "+15550123";

/** A hook of an installation with mistakes that nobody around it can catch. */
const HOOK = `export default (text) => {
  if (text.includes("throw later")) setTimeout(() => { throw new Error("planted: thrown by a timer"); }, 1);
  if (text.includes("reject")) void Promise.reject(new Error("planted: rejected, and nobody listens"));
  return text;
};
`;

describe("unexpected errors", () => {
  it("a handler that throws ends its own call; the other ones go on (fault 54)", async () => {
    const stack = await rig.stack({ config: WITNESS_CONFIG });
    const witness = await startWitness(rig, stack);
    const trail = await rig.trail(stack);
    const agent = await rig.agent(stack);
    const phone = stack.simulator.placeCall({ from: VICTIM });
    const call = await agent.call();
    await phone.waitFor("ANSWERED");
    const { onAudio } = Call.prototype;
    const planted = vi.spyOn(Call.prototype, "onAudio").mockImplementation(function (this: Call, ...args) {
      if (this.facts.callId === phone.id) throw new Error("planted: in the handling of audio");
      onAudio.apply(this, args);
    });
    rig.defer(() => planted.mockRestore());
    await trail.waitFor("ended", (event) => event.callId === phone.id);
    expect(trail.all("mediaChanged", phone.id)).toMatchObject([{ change: "LOST", detail: "INTERNAL_ERROR" }]);
    expect(trail.all("ended", phone.id)).toMatchObject([{ reason: "MEDIA_LOST" }]);
    await call.ended;
    // Nothing was commanded: what becomes of the caller is the provider's to decide.
    expect(phone.events.filter(({ type }) => type === "call.close" || type === "call.disconnect")).toEqual(
      [],
    );
    expect(await witness.missing()).toEqual([]);
    expect(trail.all("ended")).toHaveLength(1);
    // The gateway still takes calls, and the agent has its place again.
    const next = stack.simulator.placeCall({ from: "+15550124" });
    await next.waitFor("ANSWERED");
    await agent.call(2);
  });

  it("errors that nobody catches: the process and its calls live on; too many end it in order (fault 54)", async () => {
    const stateDir = await rig.folder("callweave-mistakes-");
    const hook = join(stateDir, "hook.mjs");
    await writeFile(hook, HOOK);
    const served = await startServed(rig, {
      config: WITNESS_CONFIG,
      sections: { contexts: { redaction: { hook_file: hook } } },
      stateDir,
    });
    const { child, simulator } = served;
    const witness = await startWitness(rig, served);
    const agent = await rig.agent(served.address);
    const phone = simulator.placeCall({ from: VICTIM });
    const call = await agent.call();
    await phone.waitFor("ANSWERED");
    const mistakes = () => child.lines.filter(({ msg }) => msg === "unexpected error");
    const say = (text: string) => call.appendTurns([{ role: "CALLER", text }]);
    await say("please throw later");
    await until(() => mistakes().length === 1, "the error of the timer");
    await say("please reject");
    await until(() => mistakes().length === 2, "the rejection");
    expect(await witness.missing()).toEqual([]);
    expect(child.running).toBe(true);
    expect((await call.getContext()).turns).toHaveLength(2);
    // The fifth within a minute: it goes away as on SIGTERM, calls end first, and the exit code says so.
    for (let n = 3; n <= 5; n++) {
      await say("please reject");
      await until(() => mistakes().length === n, `error ${n}`);
    }
    await until(() => agent.statuses.some(({ type }) => type === "goingAway"), "the agents to be told");
    expect(await witness.missing()).toEqual([]);
    phone.hangUp();
    witness.phone.hangUp();
    expect(await child.exit).toEqual({ code: 1, signal: null });
  });
});
