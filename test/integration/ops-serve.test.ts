import { describe, expect, it } from "vitest";
import { endlessTone } from "../harness/audio.js";
import { type Stack, until } from "../harness/gateway.js";
import { useRig } from "../harness/rig.js";

const rig = useRig();

const page = (stack: Stack, path: string) => fetch(`http://127.0.0.1:${stack.gateway.ops.port}${path}`);

/** All series of a gateway, by name with labels. */
async function series(stack: Stack): Promise<Map<string, number>> {
  const text = await (await page(stack, "/metrics")).text();
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))] as const;
    }),
  );
}

async function readyStatus(stack: Stack): Promise<string> {
  return ((await (await page(stack, "/readyz")).json()) as { status: string }).status;
}

describe("operations of a running gateway", () => {
  it("count a call that is answered, loses its agent, is offered again and ends", async () => {
    const stack = await rig.stack();
    const first = await rig.agent(stack, { agentId: "first" }, (call) => {
      void call.play(endlessTone(5_000, call.signal)).catch(() => {});
    });
    const phone = stack.simulator.placeCall();
    await first.call();
    await until(
      async () => (await series(stack)).get('callweave_calls{state="ANSWERED"}') === 1,
      "the call among the figures",
    );
    const during = await series(stack);
    expect(during.get('callweave_pool_places_free{pool="default"}')).toBe(9);
    expect(during.get("callweave_grpc_serve_streams")).toBe(1);
    expect(during.get('callweave_connector_ready{connector="main"}')).toBe(1);
    const second = await rig.agent(stack, { agentId: "second" });
    await first.worker.close();
    await second.call();
    phone.hangUp();
    const after = await until(async () => {
      const found = await series(stack);
      return found.get('callweave_calls_ended_total{reason="TERMINATED"}') === 1 && found;
    }, "the end among the figures");
    expect(after.get("callweave_calls_arrived_total")).toBe(1);
    expect(after.get("callweave_calls_answered_total")).toBe(1);
    expect(after.get("callweave_reoffers_total")).toBeGreaterThanOrEqual(1);
    expect(after.get('callweave_calls{state="ANSWERED"}')).toBe(0);
    expect(after.get('callweave_events_total{durable="false"}')).toBe(0);
    expect(after.get("callweave_call_duration_seconds_count")).toBe(1);
    // Nothing of a call is a label.
    const names = [...after.keys()].join("\n");
    expect(names).not.toMatch(/\+?1555|call_id|session_id/);
  });

  it("are not ready while the provider is away, and ready again when it is back (fault 7)", async () => {
    const stack = await rig.stack();
    expect(await readyStatus(stack)).toBe("ready");
    stack.simulator.faults.refuseControl({ status: 503 });
    stack.simulator.faults.dropControl();
    await until(async () => (await readyStatus(stack)) === "not_ready", "not ready");
    expect((await page(stack, "/healthz")).status).toBe(200);
    expect((await series(stack)).get("callweave_ready")).toBe(0);
    stack.simulator.faults.acceptControl();
    await until(async () => (await readyStatus(stack)) === "ready", "ready again", 30_000);
  });

  it("are not ready while draining, and answer until the last call is over (fault 23)", async () => {
    const stack = await rig.stack();
    const agent = await rig.agent(stack);
    const phone = stack.simulator.placeCall();
    await agent.call();
    const drained = stack.gateway.drain(30_000);
    await until(async () => (await readyStatus(stack)) === "not_ready", "not ready while draining");
    expect((await series(stack)).get("callweave_draining")).toBe(1);
    phone.hangUp();
    await drained;
    await expect(page(stack, "/healthz")).rejects.toThrow();
  });
});
