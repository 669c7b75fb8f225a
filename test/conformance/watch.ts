import type { ChannelCredentials } from "@grpc/grpc-js";
import { Outsider, type Stream } from "../harness/outsider.js";
import { until } from "../harness/until.js";
import { mismatch } from "./match.js";

/** An event as somebody without our client sees it. */
export interface SeenEvent {
  readonly call_id: string;
  readonly sequence: number;
  /** Its kind, such as `seat_changed`; its content is under that key. */
  readonly event: string;
  readonly [key: string]: unknown;
}

/** What can be seen of a gateway by plain gRPC: requests, and all events since the beginning. */
export class Watch {
  private constructor(
    readonly outsider: Outsider,
    private readonly stream: Stream,
  ) {}

  /** Begins to watch; resolves when it is live. */
  static async start(address: string, token?: string, credentials?: ChannelCredentials): Promise<Watch> {
    const outsider = new Outsider(address, token, credentials);
    const { cursor } = await outsider.ask("CallService", "ListCalls", {});
    const stream = outsider.follow("CallService", "WatchCalls", { cursor });
    await until(() => stream.items.some(({ live }) => live), "the watch to be live");
    return new Watch(outsider, stream);
  }

  /** The events of a call so far. */
  of(callId: string): SeenEvent[] {
    return this.stream.items.map(({ event }) => event).filter((event) => event?.call_id === callId);
  }

  /** The events of a call of that kind with that content. */
  all(callId: string, kind: string, has: object): SeenEvent[] {
    return this.of(callId).filter((event) => event.event === kind && !mismatch(event[kind], has));
  }

  /** What is wrong with the numbers of a call's events. */
  sequenceFault(callId: string): string | undefined {
    const sequences = this.of(callId).map(({ sequence }) => Number(sequence));
    const wrong = sequences.findIndex((sequence, index) => sequence !== index + 1);
    return wrong < 0
      ? undefined
      : `event ${wrong + 1} of call ${callId} has the sequence ${sequences[wrong]}`;
  }

  stop(): void {
    this.stream.cancel();
    this.outsider.close();
  }
}
