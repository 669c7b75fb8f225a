import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AgentOptions,
  agent,
  type Call,
  type CallEvent,
  type CallHandler,
  type CallweaveClient,
  connect,
  type Worker,
  type WorkerStatus,
} from "callweave";
import { afterEach } from "vitest";
import { type Stack, type StackOptions, startStack, until } from "./gateway.js";

/** An agent in this process and what it saw. */
export interface TestAgent {
  readonly worker: Worker;
  /** Every call it was given, in order, those that are over too. */
  readonly given: Call[];
  readonly statuses: WorkerStatus[];
  readonly errors: { readonly error: unknown; readonly callId: string | undefined }[];
  /** The n-th call it was given, from 1; waits for it. */
  call(n?: number, timeoutMs?: number): Promise<Call>;
}

/** All events of a gateway from now on, in the order of the store. */
export class Trail {
  readonly events: CallEvent[] = [];
  /** performance.now() of each. */
  readonly seenMs: number[] = [];
  /** Set when the watch ended by an error. */
  error: unknown;

  /** The first event of that type for which `matches` holds, past or to come. */
  async waitFor<T extends CallEvent["type"]>(
    type: T,
    matches: (event: Extract<CallEvent, { type: T }>) => boolean = () => true,
    timeoutMs = 15_000,
  ): Promise<Extract<CallEvent, { type: T }> & { seenMs: number }> {
    const is = (event: CallEvent) => event.type === type && matches(event as Extract<CallEvent, { type: T }>);
    const index = await until(
      () => {
        if (this.error) throw this.error;
        const found = this.events.findIndex(is);
        return found < 0 ? undefined : { found };
      },
      `event ${type}; there are: ${this.events.map((event) => event.type).join(" ")}`,
      timeoutMs,
    );
    const event = this.events[index.found] as Extract<CallEvent, { type: T }>;
    return { ...event, seenMs: this.seenMs[index.found] ?? 0 };
  }

  /** The events of one type. */
  all<T extends CallEvent["type"]>(type: T, callId?: string): Extract<CallEvent, { type: T }>[] {
    return this.events.filter(
      (event): event is Extract<CallEvent, { type: T }> =>
        event.type === type && (callId === undefined || event.callId === callId),
    );
  }

  /** The types of a call's events in order. */
  typesOf(callId: string): string[] {
    return this.events.filter((event) => event.callId === callId).map((event) => event.type);
  }
}

/** What a test file starts; everything is stopped after each test, last started first. */
export class Rig {
  private readonly stops: (() => unknown)[] = [];

  /** Runs at the end of the test. */
  defer(stop: () => unknown): void {
    this.stops.push(stop);
  }

  /** A folder that is removed at the end of the test. */
  async folder(prefix: string): Promise<string> {
    const made = await mkdtemp(join(tmpdir(), prefix));
    this.defer(() => rm(made, { recursive: true, force: true }));
    return made;
  }

  /** Simulator and gateway. */
  async stack(options: StackOptions = {}): Promise<Stack> {
    const stack = await startStack(options);
    this.defer(() => stack.stop());
    return stack;
  }

  /** An agent in this process that keeps its calls when its handler returns. Resolves when it is registered. */
  async agent(
    at: Stack | string,
    options: Partial<AgentOptions> = {},
    handler: CallHandler = () => {},
  ): Promise<TestAgent> {
    const given: Call[] = [];
    const statuses: WorkerStatus[] = [];
    const errors: TestAgent["errors"] = [];
    const worker = agent(
      {
        endpoint: addressOf(at),
        agentId: "agent",
        capacity: 10,
        whenHandlerReturns: "keep",
        onStatus: (status) => void statuses.push(status),
        onError: (error, callId) => void errors.push({ error, callId }),
        ...options,
      },
      (call) => {
        given.push(call);
        return handler(call);
      },
    );
    this.defer(() => worker.close());
    await worker.start();
    return {
      worker,
      given,
      statuses,
      errors,
      call: (n = 1, timeoutMs = 15_000) =>
        until(() => given[n - 1], `call ${n} of ${options.agentId ?? "agent"}`, timeoutMs),
    };
  }

  /** A client without a seat. */
  client(at: Stack | string): CallweaveClient {
    const client = connect({ endpoint: addressOf(at) });
    this.defer(() => client.close());
    return client;
  }

  /** Follows all events from now on; resolves when it is live. */
  async trail(at: Stack | string, cursor?: string): Promise<Trail> {
    const trail = new Trail();
    const over = new AbortController();
    this.defer(() => over.abort());
    const { calls } = this.client(at);
    let live = false;
    const follow = async () => {
      const from = cursor ?? (await calls.list()).cursor;
      for await (const item of calls.watch({ cursor: from, signal: over.signal })) {
        if (item.type === "live") live = true;
        if (item.type !== "event") continue;
        trail.events.push(item.event);
        trail.seenMs.push(performance.now());
      }
    };
    follow().catch((error: unknown) => {
      if (!over.signal.aborted) trail.error = error;
    });
    await until(() => {
      if (trail.error) throw trail.error;
      return live;
    }, "the watch to be live");
    return trail;
  }

  /** Stops everything. */
  async stopAll(): Promise<void> {
    let failed: unknown;
    for (const stop of this.stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        failed ??= error;
      }
    }
    if (failed) throw failed;
  }
}

/** A rig for the tests of a file. */
export function useRig(): Rig {
  const rig = new Rig();
  afterEach(() => rig.stopAll());
  return rig;
}

/** What a promise was rejected with; fails when it was not. */
export async function rejection(promise: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!("error" in outcome)) throw new Error(`expected a refusal, got ${JSON.stringify(outcome.value)}`);
  return outcome.error as Error & Record<string, unknown>;
}

function addressOf(at: Stack | string): string {
  return typeof at === "string" ? at : at.address;
}
