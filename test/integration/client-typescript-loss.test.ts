import { once } from "node:events";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { decodeFrameTone, encodeFrameTone, tone } from "@callweave/simulator";
import { agent, type Call, type Worker, type WorkerStatus } from "callweave";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Stack, startStack, until } from "../harness/gateway.js";

// Lost connections between the client library and the real gateway.
const RATE = 16_000;

/** A TCP relay on a free port whose connections can be broken. */
class Relay {
  private readonly sockets = new Set<Socket>();
  private server: Server | undefined;
  refusing = false;

  async start(target: string): Promise<string> {
    const [host, port] = target.split(":");
    const server = createServer((inner) => {
      if (this.refusing) {
        inner.resetAndDestroy();
        return;
      }
      const outer = connectTcp({ host, port: Number(port), noDelay: true });
      for (const [from, to] of [
        [inner, outer],
        [outer, inner],
      ] as const) {
        this.sockets.add(from);
        from.on("error", () => {});
        from.on("close", () => {
          this.sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.server = server;
    const address = server.address();
    return `127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
  }

  breakAll(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  stop(): void {
    this.breakAll();
    this.server?.close();
  }
}

let stack: Stack;
let relay: Relay;
let worker: Worker | undefined;

beforeEach(async () => {
  stack = await startStack({ simulator: { playoutBufferMs: 300 } });
  relay = new Relay();
});

afterEach(async () => {
  await worker?.close();
  worker = undefined;
  relay.stop();
  await stack.stop();
});

async function takeCall(statuses: WorkerStatus[] = []) {
  const endpoint = await relay.start(stack.address);
  const taken: Call[] = [];
  worker = agent(
    {
      endpoint,
      agentId: "hello",
      capacity: 10,
      audioFormat: { sampleRateHertz: RATE },
      onStatus: (status) => statuses.push(status),
    },
    async (call) => {
      taken.push(call);
      await call.ended;
    },
  );
  await worker.start();
  const sim = stack.simulator.placeCall({ caller: [tone(1_000, 60, 4_000)] });
  await sim.waitFor("ANSWERED", 10_000);
  const call = await until(() => taken[0], "the call");
  return { call, sim, taken };
}

function frames(count: number): Buffer {
  const all = Array.from({ length: count }, (_, i) => encodeFrameTone(i, RATE, "a"));
  return Buffer.concat(all.map((f) => Buffer.from(f.buffer, f.byteOffset, f.byteLength)));
}

describe("a broken connection", () => {
  it("brings the call back with its epoch; the caller hears every frame of what was being said (fault 3)", async () => {
    const { call, sim, taken } = await takeCall();
    const attached: boolean[] = [];
    call.on("attached", (value) => attached.push(value));
    const { epoch } = call;
    const count = 200;
    const playing = call.play(frames(count));
    await until(() => call.playback.playedMs > 1_000, "a second is heard");
    relay.breakAll();
    expect(await playing).toBe("SENT");
    expect(await call.drained()).toBe("PLAYED");
    expect(attached).toEqual([false, true]);
    expect(call.epoch).toBe(epoch);
    expect(taken).toHaveLength(1);
    const heard = new Set(decodeFrameTone(sim.recording.caller, RATE, "a").map((f) => f.number));
    const missing = Array.from({ length: count }, (_, i) => i).filter((i) => !heard.has(i));
    // At the two seams a frame may be cut in the middle.
    expect(missing.length, `missing: ${missing.join(",")}`).toBeLessThanOrEqual(4);
    // Commands work, and audio comes with the gap told.
    let gap = 0;
    for await (const chunk of call.audio()) {
      gap += chunk.gapMs ?? 0;
      if (chunk.pcm && gap > 0) break;
    }
    await call.disconnect();
    await sim.waitFor("DISCONNECTED", 10_000);
    expect(await call.ended).toEqual({ cause: "CALL_ENDED", endReason: "DISCONNECTED" });
  });

  it("ends the call here when it comes back too late, and takes the next one", async () => {
    const statuses: WorkerStatus[] = [];
    const { call, taken } = await takeCall(statuses);
    relay.refusing = true;
    relay.breakAll();
    await until(async () => {
      const state = stack.gateway.gateway.calls.list("default", { callIds: [], pools: [], states: [] });
      return state[0] && state[0].seat.state !== "HELD" && state[0].seat.state !== "SUSPENDED";
    }, "the grace is over");
    relay.refusing = false;
    expect(await call.ended).toEqual({ cause: "LOST" });
    expect(call.signal.aborted).toBe(true);
    // The call was waiting for an agent: it is offered again, as a new call of a new epoch.
    const again = await until(() => taken[1], "the offer after the loss");
    expect(again.id).toBe(call.id);
    expect(again.epoch).toBeGreaterThan(call.epoch);
    expect(statuses.some((s) => s.type === "disconnected")).toBe(true);
  });
});
