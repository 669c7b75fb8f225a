import {
  type AgentItem,
  type GatewayItem,
  Error as PbError,
  RegisterReply,
  ServeRequest,
  ServeResponse,
} from "@callweave/proto";
import { headers as makeHeaders, type NatsConnection } from "nats";
import { until } from "./until.js";

type Item = NonNullable<AgentItem["item"]>;
type Said = NonNullable<GatewayItem["item"]>;

type ValueOf<K> = Extract<Said, { readonly $case: K }>["value"];

/** What an agent on NATS begins with. */
export interface NatsAgentOptions {
  readonly tenant?: string;
  /** A key of the gateway. */
  readonly key?: string;
  readonly first?: Item;
  /** Default true: every 300 ms. */
  readonly heartbeats?: boolean;
  /** Heartbeats ask for an answer, so that `end` is set when no gateway listens any more. Default false. */
  readonly asksForAnswers?: boolean;
}

/** The usual first item. */
export const REGISTER: Item = {
  $case: "register",
  value: {
    agentId: "nats-agent",
    instanceId: "",
    pool: "",
    capacity: 1,
    audioFormat: undefined,
    labels: {},
    answerOnAccept: true,
    heartbeat: false,
    noAudio: false,
  },
};

/** An agent by the letter of docs/nats-subjects.md, with nothing of the gateway. */
export class NatsAgent {
  readonly items: Said[] = [];
  /** What came by number, to find holes. */
  downSequence = 0;
  holes = 0;
  /** Set by the last message. */
  end: { readonly status: string; readonly reason: string; readonly error?: PbError } | undefined;
  private upSequence = 0;
  private timer: NodeJS.Timeout | undefined;
  onItem: (item: Said) => void = () => {};

  private constructor(
    private readonly nc: NatsConnection,
    private readonly options: NatsAgentOptions,
    readonly reply: RegisterReply,
  ) {}

  /** Registers, listens, says hello. Rejects with the error of a refusal. */
  static async start(nc: NatsConnection, options: NatsAgentOptions = {}): Promise<NatsAgent> {
    const { tenant = "default", first = REGISTER } = options;
    const answer = await nc.request(
      `callweave.${tenant}.agents.register`,
      ServeRequest.encode({ items: [{ item: first }] }).finish(),
      { timeout: 3_000, headers: lines({ "Content-Type": "application/protobuf" }, options) },
    );
    if (answer.headers?.get("Nats-Service-Error-Code"))
      throw Object.assign(new Error("refused"), { error: PbError.decode(answer.data) });
    const agent = new NatsAgent(nc, options, RegisterReply.decode(answer.data));
    agent.listen();
    return agent;
  }

  get session(): string {
    return this.reply.session;
  }

  get token(): string {
    return this.reply.registered?.sessionToken ?? "";
  }

  get up(): string {
    return `callweave.${this.options.tenant ?? "default"}.agents.${this.session}.up`;
  }

  /** Items as one frame. */
  send(...items: Item[]): void {
    this.publish(ServeRequest.encode({ items: items.map((item) => ({ item })) }).finish(), ++this.upSequence);
  }

  /** A frame with any number and bytes. */
  publish(bytes: Uint8Array, sequence: number): void {
    this.nc.publish(this.up, bytes, {
      headers: lines({ "Callweave-Sequence": String(sequence) }, this.options),
    });
  }

  /** Leaves numbers out. */
  skip(count = 1): void {
    this.upSequence += count;
  }

  /** Says nothing more, not even heartbeats. */
  freeze(): void {
    clearInterval(this.timer);
  }

  /** The first item of a kind, from an index on. */
  async item<K extends Said["$case"]>(kind: K, from = 0): Promise<ValueOf<K>> {
    const found = await until(
      () => this.items.slice(from).find((item) => item.$case === kind),
      `${kind}; there are ${this.items.map((item) => item.$case).join(" ")}`,
      15_000,
    );
    return (found as { readonly value: unknown }).value as ValueOf<K>;
  }

  /** Sends an item and ends when nobody is there to answer. */
  private ask(item: Item): void {
    const bytes = ServeRequest.encode({ items: [{ item }] }).finish();
    const headers = lines({ "Callweave-Sequence": String(++this.upSequence) }, this.options);
    this.nc.request(this.up, bytes, { timeout: 1_500, headers }).catch((error: { code?: string }) => {
      if (error.code !== "503" || this.end) return;
      this.freeze();
      this.end = { status: "14", reason: "NO_RESPONDERS" };
    });
  }

  private listen(): void {
    const { tenant = "default", heartbeats = true, asksForAnswers = false } = this.options;
    this.nc.subscribe(`callweave.${tenant}.agents.${this.session}.down`, {
      callback: (_error, message) => {
        const sequence = Number(message.headers?.get("Callweave-Sequence"));
        if (sequence !== this.downSequence + 1) this.holes++;
        this.downSequence = sequence;
        const status = message.headers?.get("Callweave-Status");
        if (status) {
          this.freeze();
          const error = message.data.length > 0 ? PbError.decode(message.data) : undefined;
          this.end = {
            status,
            reason: message.headers?.get("Callweave-Reason") ?? "",
            ...(error && { error }),
          };
          return;
        }
        for (const { item } of ServeResponse.decode(message.data).items) {
          if (!item) continue;
          this.items.push(item);
          this.onItem(item);
        }
      },
    });
    const beat = () => {
      if (this.nc.isClosed()) this.freeze();
      else if (asksForAnswers) this.ask({ $case: "heartbeat", value: { load: 0 } });
      else this.send({ $case: "heartbeat", value: { load: 0 } });
    };
    beat();
    if (heartbeats) this.timer = setInterval(beat, 300);
  }
}

function lines(values: Readonly<Record<string, string>>, { key }: NatsAgentOptions) {
  const made = makeHeaders();
  for (const [name, value] of Object.entries(values)) made.set(name, value);
  if (key) made.set("Callweave-Authorization", `Bearer ${key}`);
  return made;
}

/** Takes every offer and says back what it hears. */
export function echo(agent: NatsAgent): void {
  agent.onItem = (item) => {
    if (item.$case === "offer") agent.send({ $case: "accept", value: { offerId: item.value.offerId } });
    if (item.$case === "audio")
      agent.send({ $case: "audio", value: { handle: item.value.handle, pcm: item.value.pcm } });
  };
}
