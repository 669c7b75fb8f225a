import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
} from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { decodeStatusDetails, STATUS_DETAILS_KEY } from "@callweave/proto";
import fc from "fast-check";
import { bytes, mostly, word } from "../inputs.js";
import { serveRequests, unaryRequests } from "../messages.js";
import { mustBeReason } from "../rigs.js";
import { must } from "../target.js";

/** What a raw HTTP/2 peer does. */
export type GrpcStep =
  | {
      readonly kind: "frames";
      readonly path: string;
      readonly frames: readonly { readonly body: Uint8Array; readonly flag: number; readonly lie: number }[];
      readonly end: "half-close" | "reset" | "cut";
    }
  | { readonly kind: "rapid-reset" | "flood"; readonly streams: number }
  | { readonly kind: "slow-headers" | "garbage"; readonly bytes: Uint8Array };

const path = fc.oneof(
  { weight: 6, arbitrary: fc.constant("/callweave.v1.AgentService/Serve") },
  {
    weight: 1,
    arbitrary: mostly("/callweave.v1.CallService/WatchCalls", "/callweave.v1.CallService/ListenCall"),
  },
  {
    weight: 1,
    arbitrary: word.map((name) => `/callweave.v1.CallService/${Buffer.from(name).toString("hex")}`),
  },
);
const flag = fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: mostly(1, 2, 255) });
const lie = fc.oneof(
  { weight: 12, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: mostly(-1, 1, 2 ** 31, 2 ** 32 - 10) },
);
const serviceOf = (method: string) =>
  /Context|Turns/.test(method)
    ? "ContextService"
    : /List(Pools|Agents|Gateways)/.test(method)
      ? "FleetService"
      : /Audit/.test(method)
        ? "AuditService"
        : "CallService";

/** Raw HTTP/2: bytes inside valid frames, frames that lie, resets, floods, headers that never end. */
export const grpcSteps: fc.Arbitrary<GrpcStep> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant("frames" as const),
      path,
      frames: fc.array(fc.record({ body: serveRequests, flag, lie }), { maxLength: 4 }),
      end: mostly<"half-close" | "reset" | "cut">("half-close", "half-close", "half-close", "reset", "cut"),
    }),
  },
  {
    weight: 20,
    arbitrary: unaryRequests.map(({ method, body }) => ({
      kind: "frames" as const,
      path: `/callweave.v1.${serviceOf(method)}/${method}`,
      frames: [{ body, flag: 0, lie: 0 }],
      end: "half-close" as const,
    })),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: mostly<"rapid-reset" | "flood">("rapid-reset", "flood"),
      streams: mostly(10, 100),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: mostly<"slow-headers" | "garbage">("slow-headers", "garbage"), bytes }),
  },
);

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** An empty SETTINGS frame, and the head of a HEADERS frame that announces 200 bytes and no end of headers. */
const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const HEADERS = Buffer.from([0, 0, 200, 1, 0, 0, 0, 0, 1]);

/** Resolves when the stream is over, however it ended. */
function closing(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed || stream.destroyed) resolve();
    else stream.once("close", () => resolve());
  });
}

/** A peer of the gateway's gRPC port that keeps no rule. */
export class GrpcPeer {
  private session: ClientHttp2Session | undefined;
  private readonly raw = new Set<Socket>();
  /** Statuses that came. */
  readonly statuses = new Map<string, number>();

  constructor(private readonly port: number) {}

  async take(step: GrpcStep): Promise<void> {
    if ("frames" in step) await this.frames(step);
    else if ("bytes" in step) this.bytes(step);
    else await this.many(step);
  }

  /** Cuts everything. */
  close(): void {
    this.session?.destroy();
    for (const socket of this.raw) socket.destroy();
    this.raw.clear();
  }

  private open(): ClientHttp2Session {
    if (!this.session || this.session.destroyed || this.session.closed) {
      this.session = connect(`http://127.0.0.1:${this.port}`);
      this.session.on("error", () => {});
    }
    return this.session;
  }

  private request(at: string): ClientHttp2Stream {
    const stream = this.open().request({
      ":method": "POST",
      ":path": at,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => {});
    return stream;
  }

  private async frames(step: Extract<GrpcStep, { kind: "frames" }>): Promise<void> {
    const stream = this.request(step.path);
    const told: IncomingHttpHeaders[] = [];
    stream.on("response", (headers) => told.push(headers));
    stream.on("trailers", (headers) => told.push(headers));
    stream.resume();
    const closed = closing(stream);
    for (const { body, flag, lie } of step.frames) {
      const head = Buffer.alloc(5);
      head[0] = flag;
      head.writeUInt32BE((body.length + lie) >>> 0, 1);
      if (!stream.destroyed && stream.writable) stream.write(Buffer.concat([head, body]));
    }
    if (step.end === "half-close") stream.end();
    else {
      await new Promise((resolve) => setImmediate(resolve));
      if (step.end === "reset") stream.close(8);
      else this.session?.destroy();
    }
    // Watches and listening end with their peer alone.
    const late = setTimeout(() => stream.close(8), 300);
    await closed;
    clearTimeout(late);
    const well = step.frames.every(({ flag, lie }) => flag === 0 && lie === 0);
    for (const headers of told) this.check(headers, well);
  }

  private check(headers: IncomingHttpHeaders, well: boolean): void {
    const status = headers["grpc-status"];
    if (status === undefined) return;
    this.statuses.set(String(status), (this.statuses.get(String(status)) ?? 0) + 1);
    must(/^([0-9]|1[0-6])$/.test(String(status)), "a status is one of gRPC", status);
    if (status === "0" || !well) return;
    const details = headers[STATUS_DETAILS_KEY];
    if (typeof details === "string") {
      const { errorInfo } = decodeStatusDetails(Buffer.from(details, "base64"));
      must(errorInfo !== undefined, "a refusal has an ErrorInfo", headers);
      mustBeReason(errorInfo.reason);
    } else must(status === "12" || status === "8" || status === "1", "a refusal is named", headers);
  }

  private bytes(step: Extract<GrpcStep, { bytes: Uint8Array }>): void {
    const socket = connectTcp(this.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.resume();
    this.raw.add(socket);
    socket.once("close", () => this.raw.delete(socket));
    socket.write(
      step.kind === "garbage"
        ? Buffer.from(step.bytes)
        : Buffer.concat([PREFACE, SETTINGS, HEADERS, step.bytes]),
    );
    // As many as an attacker may hold open here.
    const [oldest] = this.raw;
    if (this.raw.size > 20) oldest?.destroy();
  }

  private async many(step: Extract<GrpcStep, { streams: number }>): Promise<void> {
    const streams = Array.from({ length: step.streams }, () =>
      this.request("/callweave.v1.AgentService/Serve"),
    );
    const closed = Promise.all(streams.map(closing));
    if (step.kind === "flood") {
      for (const stream of streams) stream.write(Buffer.from([0, 0, 0, 0, 0]));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const stream of streams) stream.close(8);
    await closed;
  }
}
