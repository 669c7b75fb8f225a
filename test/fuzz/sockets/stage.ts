import { connect as connectTcp } from "node:net";
import { BrowserRequest, encodeMessage } from "@callweave/proto";
import type { SimCall } from "@callweave/simulator";
import fc from "fast-check";
import { connect as connectNats, type NatsConnection, headers as natsHeaders } from "nats";
import { visit, type WireClient } from "../../desk/wire-client.js";
import type { Stack } from "../../harness/gateway.js";
import { type NatsTestServer, natsAvailable, startNats } from "../../harness/nats.js";
import { Rig } from "../../harness/rig.js";
import { until } from "../../harness/until.js";
import { startWitness, WITNESS_CONFIG, type Witness } from "../../harness/witness.js";
import { corpus } from "../corpus.js";
import { bytes, damaged, damagedText, text } from "../inputs.js";
import { serveRequests, unaryRequests } from "../messages.js";
import { must } from "../target.js";
import { GrpcPeer, grpcSteps } from "./grpc-peer.js";
import type { SocketName } from "./names.js";

/** What the heap may have grown by since the stage was set, MiB. */
const MAX_GROWTH_MIB = 64;
/** Errors in the log that say that something broke inside. */
const BROKE = /internal error|error in a handler|error while handling|unexpected/i;

const frame = fc.oneof(
  { weight: 3, arbitrary: damagedText(fc.constantFrom(...corpus.control, ...corpus.mediaText)) },
  { weight: 1, arbitrary: text },
);
/** Real audio whose last sample is cut in half: what is kept of it must not reach another call. */
const halved = fc.constantFrom(...corpus.mediaBinary).map((whole) => whole.subarray(0, whole.length - 1));
const media = fc.oneof(
  { weight: 4, arbitrary: frame },
  { weight: 4, arbitrary: damaged(fc.constantFrom(...corpus.mediaBinary)) },
  { weight: 1, arbitrary: halved },
);
const headerLines = fc.dictionary(
  fc.constantFrom("Content-Type", "Callweave-Timeout-Ms", "X"),
  fc.stringMatching(/^[ -~]{0,20}$/),
  {
    maxKeys: 2,
  },
);
const http = fc.oneof(
  damagedText(
    fc.constant(
      "POST /api/ticket HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    ),
  ),
  damagedText(
    fc.constant(
      "GET /api/socket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n",
    ),
  ),
  bytes.map((raw) => Buffer.from(raw).toString("latin1")),
);
const browser = fc.oneof(
  { weight: 3, arbitrary: bytes.map((data) => ({ http: undefined, data })) },
  {
    weight: 6,
    arbitrary: fc.tuple(fc.integer({ min: 0, max: 9 }), serveRequests).map(([stream, value]) => ({
      http: undefined,
      data: encodeMessage(BrowserRequest, { stream, item: { $case: "message", value: Buffer.from(value) } }),
    })),
  },
  { weight: 1, arbitrary: http.map((raw) => ({ http: raw, data: new Uint8Array() })) },
);

/** A gateway with all its wires, a provider, a nats-server, and the witness whose call runs through it all. */
export class SocketStage {
  private baseMiB = 0;
  private victim: SimCall | undefined;
  private nats: NatsConnection | undefined;

  private constructor(
    private readonly stack: Stack,
    private readonly witness: Witness,
    private readonly rig: Rig,
    private readonly server: NatsTestServer | undefined,
    private readonly errors: string[],
  ) {}

  /** `started`: told of a process that the stage has started, by its id. */
  static async set(started: (pid: number) => Promise<void>): Promise<SocketStage> {
    const rig = new Rig();
    const errors: string[] = [];
    const server = (await natsAvailable()) ? await startNats() : undefined;
    if (server) {
      await started(server.pid);
      rig.defer(() => server.stop());
    }
    const quiet = () => {};
    const error = (fields: object, message: string) => {
      const { err } = fields as { err?: unknown };
      if (BROKE.test(message))
        errors.push(`${message}: ${err instanceof Error ? err.stack : JSON.stringify(fields)}`);
    };
    const stack = await rig.stack({
      config: { ...WITNESS_CONFIG, desk: {}, ...(server && { nats: { urls: [server.url] } }) },
      logger: { debug: quiet, info: quiet, warn: quiet, error },
    });
    const witness = await startWitness(rig, stack);
    const stage = new SocketStage(stack, witness, rig, server, errors);
    await rig.agent(stack, { agentId: "victim" }, (call) => call.answer());
    stage.baseMiB = heapMiB();
    return stage;
  }

  /** Sends so many inputs over one wire; throws when something did not hold. */
  async run(name: SocketName, inputs: number, seed: number): Promise<void> {
    const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.sample(arbitrary, { seed, numRuns: inputs });
    switch (name) {
      case "socket-control":
        for (const one of some(frame)) {
          this.stack.simulator.faults.sendControlRaw(one);
          await turn();
        }
        break;
      case "socket-media":
        await this.media(some(media));
        break;
      case "socket-grpc": {
        const peer = new GrpcPeer(this.stack.gateway.port);
        this.rig.defer(() => peer.close());
        await inTurn(some(grpcSteps), 8, (step) => peer.take(step));
        peer.close();
        break;
      }
      case "socket-browser":
        await this.browser(some(browser));
        break;
      case "socket-nats":
        await this.natsMessages(some(fc.tuple(unaryRequests, serveRequests, headerLines)));
    }
    const missing = await this.witness.missing();
    must(missing.length === 0, "another call hears every frame", missing);
    must(this.errors.length === 0, "nothing breaks inside", this.errors[0]);
    const growth = heapMiB() - this.baseMiB;
    must(growth < MAX_GROWTH_MIB, "memory stays within its bound", Math.round(growth));
  }

  strike(): Promise<void> {
    return this.rig.stopAll();
  }

  /** Frames to a call that is answered; a new one when that has ended by what it was sent. */
  private async media(frames: readonly (string | Uint8Array)[]): Promise<void> {
    for (const one of frames) {
      // A frame that says so ends the call, or its connection: that is no finding.
      if (!this.victim?.mediaConnected) {
        if (this.victim && this.victim.state !== "DISCONNECTED") this.victim.hangUp();
        const call = this.stack.simulator.placeCall({ from: "+15550123" });
        this.victim = call;
        await until(() => call.mediaConnected && call.state === "ANSWERED", "a call for the frames");
      }
      this.victim.faults.sendRaw(typeof one === "string" ? one : Buffer.from(one));
      // What is left behind by half a sample has to meet the next frame of the other call.
      if (typeof one !== "string" && one.length % 2 === 0)
        await new Promise((resolve) => setTimeout(resolve, 25));
      else await turn();
    }
  }

  private async browser(
    frames: readonly { readonly http: string | undefined; readonly data: Uint8Array }[],
  ): Promise<void> {
    const port = this.stack.gateway.deskPort;
    must(port !== undefined, "the desk listens");
    let client: WireClient | undefined;
    for (const { http: raw, data } of frames) {
      if (raw !== undefined) {
        const socket = connectTcp(port, "127.0.0.1", () => socket.end(raw, "latin1"));
        socket.on("error", () => {});
        socket.resume();
        setTimeout(() => socket.destroy(), 200).unref();
        continue;
      }
      if (!client || client.socket.readyState !== client.socket.OPEN) {
        client = await visit(port);
        client.open("AgentService/Serve");
      }
      client.socket.send(data);
      await turn();
    }
    client?.close();
  }

  private async natsMessages(
    messages: readonly [
      { method: string; encoding: string; body: Uint8Array },
      Uint8Array,
      Record<string, string>,
    ][],
  ): Promise<void> {
    if (!this.server) return;
    this.nats ??= await connectNats({ servers: this.server.url });
    const { nats } = this;
    this.rig.defer(() => nats.close());
    await inTurn(messages, 16, async ([{ method, encoding, body }, frames, lines]) => {
      // Larger ones never leave the library.
      if (Math.max(body.length, frames.length) > 1_000_000) return;
      const made = natsHeaders();
      made.set("Content-Type", `application/${encoding}`);
      for (const [name, value] of Object.entries(lines)) made.set(name, value);
      nats.publish("callweave.default.agents.nobody.up", frames, { headers: made });
      const answer = await nats.request(`callweave.default.rpc.${method}`, body, {
        timeout: 10_000,
        headers: made,
      });
      const code = answer.headers?.get("Nats-Service-Error-Code") ?? "";
      must(
        code !== "13" && code !== "500",
        "nothing breaks inside",
        answer.headers?.get("Nats-Service-Error"),
      );
    });
  }
}

/** So many side by side. */
async function inTurn<T>(
  inputs: readonly T[],
  parallel: number,
  take: (input: T) => Promise<void>,
): Promise<void> {
  const rest = inputs.values();
  const work = async () => {
    for (const input of rest) await take(input);
  };
  await Promise.all(Array.from({ length: parallel }, work));
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

function heapMiB(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 1_048_576;
}
