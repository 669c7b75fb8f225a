import {
  type AgentItem,
  AgentServiceDefinition,
  AssignedResume,
  AudioEncoding,
  Call,
  CallState,
  type GatewayItem,
  type ServeRequest,
  type ServeResponse,
  type ServiceHandlers,
} from "@callweave/proto";
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { widenReceiveWindow } from "../../gateway/src/grpc/flow-window.js";

const RATE = 16_000;
const FRAME_MS = 20;
const FRAME_BYTES = (RATE * 2 * FRAME_MS) / 1000;
/** More items are the next message. */
const MAX_ITEMS = 200;
const PROGRESS_EVERY_FRAMES = 25;
const WINDOW_BYTES = 1024 * 1024;

type Item = NonNullable<GatewayItem["item"]>;

/** What came back of the frames of a call. */
interface CallOfMany {
  readonly handle: number;
  readonly stream: PushedStream;
  readonly sentAtMs: Map<number, number>;
  sent: number;
  heard: number;
  rest: Buffer;
}

/** One stream of the agent. */
interface PushedStream {
  readonly call: ServerDuplexStream<ServeRequest, ServeResponse>;
  calls: number;
}

/**
 * What a gateway is to an agent, and nothing behind it: it assigns as many calls as wanted, sends each a numbered frame every
 * 20 ms and takes back what is echoed. So the agent is measured, not the gateway.
 */
export class PushingGateway {
  /** Of each echoed frame since the last `reset`, from sending to its return. Milliseconds. */
  latenciesMs: number[] = [];
  /** Frames that came back out of order since the last `reset`. */
  wrong = 0;
  private readonly calls: CallOfMany[] = [];
  private readonly byHandle = new Map<number, CallOfMany>();
  private readonly streams: PushedStream[] = [];
  private timer: NodeJS.Timeout | undefined;
  private ticks = 0;
  private startMs = 0;

  private constructor(
    private readonly server: Server,
    /** "127.0.0.1:PORT". */
    readonly address: string,
    /** So many frames every 20 ms instead of one. */
    private readonly speed: number,
  ) {}

  static async start(speed = 1): Promise<PushingGateway> {
    const server = new Server();
    // As the gateway does it.
    if (!widenReceiveWindow(server, WINDOW_BYTES)) throw new Error("the receive window cannot be widened");
    let made: PushingGateway | undefined;
    const handlers: ServiceHandlers<typeof AgentServiceDefinition> = { serve: (call) => made?.serve(call) };
    server.addService(AgentServiceDefinition, handlers as unknown as UntypedServiceImplementation);
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    made = new PushingGateway(server, `127.0.0.1:${port}`, speed);
    made.startMs = performance.now();
    made.timer = setInterval(() => made?.tick(), FRAME_MS / 2);
    return made;
  }

  /** How many calls the agent has taken. */
  get taken(): number {
    return this.calls.length;
  }

  /** Frames that were sent more than `afterMs` ago and have not come back. */
  missing(afterMs: number): number {
    const before = performance.now() - afterMs;
    let missing = 0;
    for (const call of this.calls) for (const atMs of call.sentAtMs.values()) if (atMs < before) missing++;
    return missing;
  }

  /** Offers so many calls more. */
  offer(count: number): void {
    for (let n = 0; n < count; n++) {
      const [quietest] = [...this.streams].sort((a, b) => a.calls - b.calls);
      if (!quietest) throw new Error("no agent is registered");
      quietest.calls++;
      const callId = `call-${this.calls.length + n + 1}-${this.ticks}`;
      const offer = {
        offerId: callId,
        call: callOf(callId),
        attempt: 1,
        timeLeft: { seconds: 60, nanos: 0 },
      };
      send(quietest, [
        { $case: "offer", value: { ...offer, context: undefined, deadline: undefined, escalationReason: 0 } },
      ]);
    }
  }

  /** Measures anew. */
  reset(): void {
    this.latenciesMs = [];
    this.wrong = 0;
  }

  stop(): void {
    clearInterval(this.timer);
    this.server.forceShutdown();
  }

  private serve(call: ServerDuplexStream<ServeRequest, ServeResponse>): void {
    const stream: PushedStream = { call, calls: 0 };
    call.on("error", () => {});
    call.on("end", () => call.end());
    call.on("data", ({ items }: ServeRequest) => {
      for (const { item } of items) this.onItem(item, stream);
    });
  }

  private onItem(item: AgentItem["item"], stream: PushedStream): void {
    switch (item?.$case) {
      case "register":
      case "join":
        this.streams.push(stream);
        send(stream, [registered(item.$case === "register" ? item.value.instanceId : "")]);
        break;
      case "accept":
        this.assign(item.value.offerId, stream);
        break;
      case "audio":
        this.onAudio(item.value.handle, item.value.pcm);
        break;
      default:
        break;
    }
  }

  private assign(offerId: string, stream: PushedStream): void {
    const handle = this.byHandle.size + 1;
    const made: CallOfMany = {
      handle,
      stream,
      sentAtMs: new Map(),
      sent: 0,
      heard: 0,
      rest: Buffer.alloc(0),
    };
    this.byHandle.set(handle, made);
    this.calls.push(made);
    const audioFormat = { encoding: AudioEncoding.S16LE, sampleRateHertz: RATE };
    const assignment = { call: callOf(offerId), epoch: 1, handle, offerId, attempt: 1, audioFormat };
    send(stream, [{ $case: "assigned", value: { ...assignment, resume: AssignedResume.NEW } }]);
  }

  /** All frames that are due by now, for every call. */
  private tick(): void {
    const due = Math.floor((performance.now() - this.startMs) / FRAME_MS);
    for (; this.ticks < due; this.ticks++) {
      for (const stream of this.streams) {
        for (let n = 0; n < this.speed; n++) {
          const items: Item[] = [];
          for (const call of this.calls) if (call.stream === stream) items.push(...this.frame(call));
          for (let at = 0; at < items.length; at += MAX_ITEMS) send(stream, items.slice(at, at + MAX_ITEMS));
        }
      }
    }
  }

  private frame(call: CallOfMany): Item[] {
    const pcm = Buffer.alloc(FRAME_BYTES);
    pcm.writeUInt32LE(call.sent);
    const position = call.sent * (FRAME_BYTES / 2);
    const number = call.sent++;
    if (this.speed === 1) call.sentAtMs.set(number, performance.now());
    const audio: Item = {
      $case: "audio",
      value: { handle: call.handle, sequence: call.sent, position, pcm },
    };
    return call.sent % PROGRESS_EVERY_FRAMES === 0 ? [progress(call), audio] : [audio];
  }

  private onAudio(handle: number, pcm: Uint8Array): void {
    const call = this.byHandle.get(handle);
    if (!call) return;
    const nowMs = performance.now();
    const bytes = Buffer.concat([call.rest, pcm]);
    let at = 0;
    for (; at + FRAME_BYTES <= bytes.length; at += FRAME_BYTES) {
      const number = bytes.readUInt32LE(at);
      if (number !== call.heard) this.wrong++;
      call.heard = number + 1;
      const sentMs = call.sentAtMs.get(number);
      call.sentAtMs.delete(number);
      if (sentMs !== undefined) this.latenciesMs.push(nowMs - sentMs);
    }
    call.rest = Buffer.from(bytes.subarray(at));
  }
}

function send({ call }: PushedStream, items: readonly Item[]): void {
  call.write({ items: items.map((item) => ({ item })) });
}

/** All that came is heard: this gateway has no ear. */
function progress(call: CallOfMany): Item {
  const played = { seconds: 0, nanos: 0 };
  const heardMs = call.heard * FRAME_MS;
  played.seconds = Math.floor(heardMs / 1000);
  played.nanos = Math.round((heardMs % 1000) * 1e6);
  const none = { seconds: 0, nanos: 0 };
  return {
    $case: "playback",
    value: { handle: call.handle, position: { queued: none, unheardAtProvider: none, played } },
  };
}

function registered(instanceId: string): Item {
  return {
    $case: "registered",
    value: {
      sessionToken: "pushing",
      heartbeatInterval: { seconds: 1, nanos: 0 },
      reattachGrace: { seconds: 2, nanos: 0 },
      limits: { maxItems: 256, maxMessageBytes: 262_144, maxPlayback: { seconds: 30, nanos: 0 } },
      gatewayId: "pushing",
      instanceId,
    },
  };
}

function callOf(callId: string): Call {
  return Call.fromPartial({
    callId,
    caller: "+15550101",
    callee: "+15550100",
    pool: "default",
    state: CallState.ANSWERED,
    sampleRateHertz: RATE,
    gatewayId: "pushing",
  });
}
