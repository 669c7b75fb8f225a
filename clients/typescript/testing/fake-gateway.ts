import {
  type AgentItem,
  AgentServiceDefinition,
  Call,
  CallEvent,
  CallServiceDefinition,
  CallState,
  CommandResult,
  ContextServiceDefinition,
  encodeStatusDetails,
  type GatewayItem,
  Registered,
  type ServeRequest,
  type ServeResponse,
  type ServiceHandlers,
  STATUS_DETAILS_KEY,
} from "@callweave/proto";
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type StatusObject,
  type status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";

/** An item of an agent by its kind. */
export type Item<C extends string> = Extract<NonNullable<AgentItem["item"]>, { $case: C }>["value"];

/** One Serve stream as the gateway sees it. */
export class FakeStream {
  /** Each message, in order. */
  readonly messages: AgentItem[][] = [];
  /** All items, in order. */
  readonly items: AgentItem[] = [];
  /** Set when the client has ended or broken the stream. */
  closed = false;
  private readonly taken = new Set<AgentItem>();
  private wake: (() => void)[] = [];

  constructor(readonly call: ServerDuplexStream<ServeRequest, ServeResponse>) {
    call.on("error", () => {});
    call.on("data", (request: ServeRequest) => {
      this.messages.push(request.items);
      this.items.push(...request.items);
      this.changed();
    });
    const closed = () => {
      this.closed = true;
      this.changed();
    };
    call.on("end", () => {
      closed();
      call.end();
    });
    call.on("cancelled", closed);
  }

  /** Sends items as one message. */
  send(...items: NonNullable<GatewayItem["item"]>[]): void {
    this.call.write({ items: items.map((item) => ({ item })) });
  }

  /** Ends the stream with a status and reason. */
  fail(code: status, reason: string, metadata: Record<string, string> = {}): void {
    this.call.emit("error", serviceError(code, reason, metadata));
  }

  /** The next item of this kind that was not taken yet. */
  async next<C extends string>(kind: C, timeoutMs = 10_000): Promise<Item<C>> {
    const found = () => this.items.find((item) => item.item?.$case === kind && !this.taken.has(item));
    await this.until(() => found() !== undefined, timeoutMs, `no ${kind} came`);
    const item = found()!;
    this.taken.add(item);
    return item.item!.value as Item<C>;
  }

  /** All items of this kind so far. */
  all<C extends string>(kind: C): Item<C>[] {
    return this.items.filter((item) => item.item?.$case === kind).map((item) => item.item!.value as Item<C>);
  }

  /** The audio of a call so far. */
  audio(handle: number): Buffer {
    return Buffer.concat(
      this.all("audio")
        .filter((a) => a.handle === handle)
        .map((a) => a.pcm),
    );
  }

  /** Waits for a condition on what came. */
  async until(condition: () => boolean, timeoutMs = 10_000, message = "condition not met"): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (!condition()) {
      const left = end - Date.now();
      if (left <= 0) throw new Error(message);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 50));
        this.wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Offers a call, waits for the acceptance and assigns it. */
  async assign(callId: string, handle: number, call: Partial<Call> = {}): Promise<void> {
    const offered = fakeCall(callId, call);
    const offerId = `offer-${callId}-${handle}`;
    this.send({
      $case: "offer",
      value: {
        offerId,
        call: offered,
        context: undefined,
        attempt: 1,
        deadline: undefined,
        timeLeft: { seconds: 2, nanos: 0 },
        escalationReason: 0,
      },
    });
    await this.until(() => this.all("accept").some((a) => a.offerId === offerId), 10_000, "not accepted");
    this.send(assigned(offered, handle, 1, offerId));
  }

  /** Answers a command. */
  result(requestId: string, handle: number, result: Partial<CommandResult> = {}): void {
    this.send({ $case: "commandResult", value: CommandResult.fromPartial({ requestId, handle, ...result }) });
  }

  /** Sends an event of a call. */
  event(callId: string, sequence: number, event: CallEvent["event"]): void {
    this.send({ $case: "callEvent", value: { ...CallEvent.fromPartial({ callId, sequence }), event } });
  }

  private changed(): void {
    const waiters = this.wake;
    this.wake = [];
    for (const wake of waiters) wake();
  }
}

/** A gateway in this process on a free loopback port: it answers Register, the rest is up to the test. */
export class FakeGateway {
  readonly streams: FakeStream[] = [];
  /** Answers the first item of a stream; undefined: Registered, unless it is a Reattach. */
  /** What it answers "as usual" to is answered as usual. */
  onFirst: ((stream: FakeStream, item: NonNullable<AgentItem["item"]>) => unknown) | undefined;
  registered: Registered = Registered.fromPartial({
    sessionToken: "token-1",
    heartbeatInterval: { seconds: 0, nanos: 500_000_000 },
    reattachGrace: { seconds: 2, nanos: 0 },
    limits: { maxItems: 256, maxMessageBytes: 262_144, maxPlayback: { seconds: 30, nanos: 0 } },
    gatewayId: "gw-1",
  });
  /** Metadata of the newest stream. */
  metadata: Metadata | undefined;
  private server: Server | undefined;
  private port = 0;

  /** "host:port". */
  get endpoint(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Starts; handlers of the unary services may be given. Started again it uses the same port. */
  async start(
    services: {
      calls?: Partial<ServiceHandlers<typeof CallServiceDefinition>>;
      contexts?: Partial<ServiceHandlers<typeof ContextServiceDefinition>>;
    } = {},
  ): Promise<void> {
    // With channelz off, forceShutdown of grpc-js leaves open sessions alone.
    const server = new Server();
    const serve: ServiceHandlers<typeof AgentServiceDefinition> = {
      serve: (call) => {
        this.metadata = call.metadata;
        const stream = new FakeStream(call);
        this.streams.push(stream);
        call.once("data", (request: ServeRequest) => {
          const first = request.items[0]?.item;
          if (!first) return;
          if (this.onFirst && this.onFirst(stream, first) !== "as usual") return;
          if (first.$case === "register") {
            const instanceId = first.value.instanceId;
            stream.send({ $case: "registered", value: { ...this.registered, instanceId } });
          }
        });
      },
    };
    server.addService(AgentServiceDefinition, serve as unknown as UntypedServiceImplementation);
    if (services.calls) {
      server.addService(CallServiceDefinition, services.calls as unknown as UntypedServiceImplementation);
    }
    if (services.contexts) {
      server.addService(
        ContextServiceDefinition,
        services.contexts as unknown as UntypedServiceImplementation,
      );
    }
    this.port = await new Promise<number>((resolve, reject) =>
      server.bindAsync(`127.0.0.1:${this.port}`, ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      ),
    );
    this.server = server;
  }

  /** Breaks all connections. */
  stop(): void {
    this.server?.forceShutdown();
    this.server = undefined;
  }

  /** The n-th stream, from 0. */
  async stream(n: number, timeoutMs = 10_000): Promise<FakeStream> {
    const end = Date.now() + timeoutMs;
    while (!this.streams[n] || this.streams[n].items.length === 0) {
      if (Date.now() > end) throw new Error(`stream ${n} did not come`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return this.streams[n];
  }
}

/** A call as a gateway would show it. */
export function fakeCall(callId: string, call: Partial<Call> = {}): Call {
  return {
    ...Call.fromPartial({
      callId,
      caller: "+15550100",
      callee: "+15550199",
      pool: "default",
      locale: "en",
      state: CallState.ANSWERED,
      sampleRateHertz: 16_000,
      gatewayId: "gw-1",
    }),
    ...call,
  };
}

/** An Assigned item. `resume`: 1 new, 2 reattached. */
export function assigned(
  call: Call,
  handle: number,
  epoch: number,
  offerId = "",
  resume = 1,
): NonNullable<GatewayItem["item"]> {
  return {
    $case: "assigned",
    value: {
      call,
      epoch,
      handle,
      resume,
      audioFormat: { encoding: 1, sampleRateHertz: 16_000 },
      offerId,
      attempt: 1,
    },
  };
}

/** An error as a gateway's trailers carry it. */
export function serviceError(
  code: status,
  reason: string,
  metadata: Record<string, string> = {},
): StatusObject & Error {
  const trailers = new Metadata();
  const message = `refused: ${reason}`;
  trailers.set(
    STATUS_DETAILS_KEY,
    encodeStatusDetails({ code, message, errorInfo: { reason, domain: "callweave", metadata } }),
  );
  return Object.assign(new Error(message), { code, details: message, metadata: trailers });
}

/** Waits for a condition. */
export async function until(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error("condition not met");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
