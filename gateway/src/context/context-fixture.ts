import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import type { CallSnapshot } from "../call/call-state.js";
import { ManualClock } from "../util/clock.js";
import { type ContextServiceOptions, StoredContextService } from "./context-service.js";
import type { ContextStore } from "./context-store.js";
import type { CallContext, ContextInput, Turn, WrittenContext } from "./context-types.js";
import { openEmbeddedContextStore } from "./embedded-context-store.js";
import { FailoverContextStore } from "./failover-context-store.js";
import { openLocalContextSpool } from "./local-context-spool.js";
import { MemoryContextStore } from "./memory-context-store.js";

/** For tests: opens a store, in a folder that is removed after the test. */
export type OpenStore = (folder: string, clock: ManualClock) => Promise<ContextStore>;

/** For tests: the stores without a server that every test of the rules runs on. */
export const openers: readonly (readonly [name: string, open: OpenStore])[] = [
  ["memory", async () => new MemoryContextStore()],
  ["embedded", (folder) => openEmbeddedContextStore(folder)],
  [
    "memory with spools",
    async (folder, clock) => {
      const local = await openLocalContextSpool(folder, 2 ** 20, () => {});
      return new FailoverContextStore(new MemoryContextStore(), [local], { clock });
    },
  ],
];

/** For tests: a call. */
export function call(over: Partial<CallSnapshot> = {}): CallSnapshot {
  return {
    tenant: "t",
    callId: "c-1",
    sessionId: "s-1",
    connector: "main",
    direction: "INBOUND",
    caller: "+15550100",
    callee: "+15550101",
    rawCaller: "",
    rawCallee: "",
    pool: "default",
    locale: "en-US",
    state: "ANSWERED",
    seat: { state: "HELD", agentId: "a", instanceId: "i", epoch: 1, attempt: 1 },
    sampleRateHz: 8000,
    playback: { queuedMs: 0, unheardAtProviderMs: 0, playedMs: 0 },
    createTime: new Date(0),
    gatewayId: "g",
    lastEventSequence: 1,
    ...over,
  };
}

/** For tests: a turn. */
export function turn(id: string, over: Partial<Turn> = {}): Turn {
  return {
    id,
    role: "CALLER",
    text: `words of ${id}`,
    locale: "",
    time: new Date("2026-01-01T00:00:01Z"),
    heard: "",
    interrupted: false,
    ...over,
  };
}

/** For tests: contexts on one of the stores, made before and closed after each test. */
export class ContextFixture {
  contexts!: StoredContextService;
  clock = new ManualClock();
  /** Calls that are live. */
  live: CallSnapshot[] = [];
  private folder = "";

  /** `epoch`: where the clock begins; default 2026. */
  constructor(
    private readonly openStore: OpenStore,
    epoch?: Date,
  ) {
    beforeEach(async () => {
      this.folder = await mkdtemp(join(tmpdir(), "contexts-"));
      this.clock = new ManualClock(epoch);
      this.live = [];
      this.contexts = await this.open({});
    });
    afterEach(async () => {
      await this.contexts.close();
      await rm(this.folder, { recursive: true, force: true });
    });
  }

  async reopen(options: ContextServiceOptions): Promise<void> {
    await this.contexts.close();
    this.contexts = await this.open(options);
  }

  save(input: Partial<ContextInput> = {}, tenant = "t"): Promise<WrittenContext> {
    return this.contexts.save(tenant, { callId: "c-1", ...input });
  }

  get(callId = "c-1", tenant = "t"): Promise<CallContext> {
    return this.contexts.get(tenant, { callId });
  }

  private async open(options: ContextServiceOptions): Promise<StoredContextService> {
    const store = await this.openStore(this.folder, this.clock);
    return new StoredContextService(store, {
      clock: this.clock,
      callOf: (tenant, id) => this.live.find((c) => c.tenant === tenant && c.callId === id),
      ...options,
    });
  }
}
