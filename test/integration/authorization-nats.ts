import { Error as PbError, RegisterReply } from "@callweave/proto";
import * as grpc from "@grpc/grpc-js";
import { headers, type Msg } from "nats";
import { key, nc, type Outcome, outcomeOfError, rpc, type ServeStream } from "./authorization-rig.js";

const BEAT_MS = 300;
const OK: Outcome = { code: 0, reason: "", scope: "" };

/** One frame of Serve on a subject, showing a token, and what is answered. Rejects with code 503 when nobody listens there. */
export async function frameByNats(
  subject: string,
  token: string | undefined,
  items: readonly object[],
  sequence?: number,
) {
  const made = headers();
  made.set("Content-Type", "application/protobuf");
  if (token !== undefined) made.set("Callweave-Authorization", `Bearer ${token}`);
  if (sequence !== undefined) made.set("Callweave-Sequence", String(sequence));
  const bytes = rpc("AgentService/Serve").serialize({ items });
  return nc.request(subject, bytes, { timeout: 10_000, headers: made });
}

/** How an answer went. */
export function outcomeOfAnswer(answer: Msg): Outcome {
  const code = Number(answer.headers?.get("Nats-Service-Error-Code") || 0);
  return code === 0 ? OK : outcomeOfError(PbError.decode(answer.data));
}

/**
 * A Serve stream by the letter of docs/nats-subjects.md, with nothing of the gateway: the first item is a request, all
 * others are frames on .up that ask for an answer, so that each is known to be taken before the next is sent.
 */
export class NatsServe implements ServeStream {
  // biome-ignore lint/suspicious/noExplicitAny: an outsider without generated types
  readonly items: any[] = [];
  readonly end: Promise<Outcome>;
  /** Of its subjects; empty before it is registered. */
  session = "";
  /** The number of the last frame that was taken. */
  sequence = 0;
  private over = false;
  private finish: (outcome: Outcome) => void = () => {};
  private turn: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;
  /** What frames may show: the last one that was taken first, or one that was given by Reauthenticate since. */
  private tokens: readonly string[];

  constructor(
    name: string,
    private readonly tenant: string,
  ) {
    this.tokens = [key(name, tenant)];
    this.end = new Promise((resolve) => {
      this.finish = (outcome) => {
        this.cancel();
        resolve(outcome);
      };
    });
  }

  /** Where its frames go. */
  get up(): string {
    return `callweave.${this.tenant}.agents.${this.session}.up`;
  }

  send(...items: object[]): void {
    const say = async () => {
      if (this.over) return;
      const rest = this.session === "" ? await this.register(items) : items;
      if (rest.length > 0) await this.frame(rest);
    };
    this.turn = this.turn.then(say).catch((error: Error & { code?: string }) => {
      // Nobody listens there any more: its end is on .down, or on the way.
      if (error.code !== "503") this.finish({ code: grpc.status.UNKNOWN, reason: error.message, scope: "" });
    });
  }

  /** Sends nothing by itself any more, heartbeats least of all. */
  hush(): void {
    clearInterval(this.timer);
  }

  /** On NATS nothing is cancelled and nobody sees a connection break: it falls silent, and the gateway finds out. */
  cancel(): void {
    this.over = true;
    this.hush();
  }

  /** Begins with the first item; what is left is said in a frame. */
  private async register([first = {}, ...rest]: readonly object[]): Promise<readonly object[]> {
    const answer = await frameByNats(`callweave.${this.tenant}.agents.register`, this.tokens[0], [first]);
    const outcome = outcomeOfAnswer(answer);
    if (outcome.code !== 0) {
      this.finish(outcome);
      return [];
    }
    this.session = RegisterReply.decode(answer.data).session;
    nc.subscribe(this.up.replace(/up$/, "down"), { callback: (_error, message) => this.hear(message) });
    const beat = { heartbeat: { load: 0 } };
    await this.frame([beat]);
    this.timer = setInterval(() => this.send(beat), BEAT_MS);
    return rest;
  }

  /** A frame that is not taken takes no number: what shows another token than the session's is said again. */
  private async frame(items: readonly object[]): Promise<void> {
    let outcome = OK;
    for (const token of this.tokens) {
      outcome = outcomeOfAnswer(await frameByNats(this.up, token, items, this.sequence + 1));
      if (outcome.code !== 0) continue;
      this.sequence++;
      const given = (items as readonly { readonly reauthenticate?: { readonly token: string } }[]).flatMap(
        ({ reauthenticate }) => (reauthenticate ? [reauthenticate.token] : []),
      );
      this.tokens = [...new Set([...given.reverse(), token, ...this.tokens])];
      return;
    }
    this.finish(outcome);
  }

  private hear(message: Msg): void {
    const status = message.headers?.get("Callweave-Status");
    if (!status) {
      this.items.push(...rpc("AgentService/Serve").deserialize(Buffer.from(message.data)).items);
      return;
    }
    this.finish(message.data.length > 0 ? outcomeOfError(PbError.decode(message.data)) : OK);
  }
}

/** A Serve stream of somebody. */
export function serveByNats(name: string, tenant: string): NatsServe {
  return new NatsServe(name, tenant);
}
