import { frameTone } from "@callweave/simulator";
import { describe, expect, it } from "vitest";
import { numbersHeard } from "../harness/audio.js";
import { TestCluster } from "../harness/cluster.js";
import { natsAvailable } from "../harness/nats.js";
import { echo, NatsAgent, REGISTER } from "../harness/nats-agent.js";
import { until } from "../harness/until.js";
import { ask, defer, outsider } from "./nats-harness.js";

const available = await natsAvailable();

describe.skipIf(!available)("NATS with two gateways", () => {
  it("answers for every call whichever gateway is asked, and an agent comes back through either", async () => {
    // A gateway that has not heard of the agent yet lets a call wait, too.
    const cluster = await TestCluster.start({ routes: [{ unserved: "queue" }] });
    defer(() => cluster.stop());
    const nc = await outsider(cluster.nats);
    if (REGISTER.$case !== "register") throw new Error("unreachable");
    const agent = await NatsAgent.start(nc, {
      first: { $case: "register", value: { ...REGISTER.value, capacity: 20 } },
    });
    echo(agent);
    const calls = Array.from({ length: 6 }, () => cluster.simulator.placeCall({ caller: [frameTone()] }));
    for (const call of calls) await call.waitUntil(() => numbersHeard(call, "caller").length > 10);
    const owners = new Set<string>();
    for (const { id } of calls) {
      for (let i = 0; i < 6; i++) {
        const { body, error } = await ask(nc, "callweave.default.rpc.GetCall", { callId: id });
        expect(error).toBe("");
        owners.add(body.call.gatewayId);
        const listened = await ask(nc, "callweave.default.rpc.ListenCall", { callId: id });
        expect(listened.body.subject).toBe(`callweave.default.calls.${id}.audio.MIXED`);
      }
    }
    // Which gateway claimed them is a race; the requests went to both.
    expect(owners.size).toBeGreaterThan(0);
    const { calls: listed } = (await ask(nc, "callweave.default.rpc.ListCalls")).body;
    expect(listed).toHaveLength(6);
    const epochs = agent.items.flatMap((item) =>
      item.$case === "assigned" ? [{ callId: item.value.call?.callId ?? "", epoch: item.value.epoch }] : [],
    );
    agent.skip();
    agent.send({ $case: "heartbeat", value: { load: 0 } });
    await until(() => agent.end, "the end of the stream");
    const back = await NatsAgent.start(nc, {
      first: {
        $case: "reattach",
        value: { sessionToken: agent.token, calls: epochs.map((one) => ({ ...one, lastEventSequence: 0 })) },
      },
    });
    echo(back);
    const before = calls.map((call) => numbersHeard(call, "caller").length);
    for (const [i, call] of calls.entries())
      await call.waitUntil(() => numbersHeard(call, "caller").length > (before[i] ?? 0) + 20);
    expect(calls.map((call) => call.state)).toEqual(calls.map(() => "ANSWERED"));
  });
});
