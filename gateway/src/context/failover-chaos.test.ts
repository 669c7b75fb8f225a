import { describe, expect, it } from "vitest";
import { turn } from "./context-fixture.js";
import { contextHash } from "./context-hash.js";
import { ContextStoreAway } from "./context-store.js";
import { type Gateway, idle, World } from "./failover-fixture.js";

const SEEDS = Number(process.env.CHAOS_SEEDS ?? 40);

/** Numbers from 0 to below 1, the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed * 2_654_435_761 + 1;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 12)) >>> 0) / 2 ** 32;
  };
}

describe("contexts while everything fails", () => {
  it.each(Array.from({ length: SEEDS }, (_, seed) => seed))(
    "lose nothing that was acknowledged (%i)",
    async (seed) => {
      const random = randomOf(seed);
      const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)] as T;
      const world = await World.make();
      const names = ["a", "b"];
      const gateways = new Map<string, Gateway>();
      /** Turn ids and keys of data that were acknowledged, by call. */
      const acknowledged = new Map<string, Set<string>>();

      const start = async (name: string) => {
        const gateway = await world.gateway(name, { away: random() < 0.5 });
        // Any step at the database may fail, before or after it is done.
        gateway.database.onStep = () => {
          if (random() < 0.1) throw new ContextStoreAway();
        };
        gateways.set(name, gateway);
      };
      /** It ends between two steps: what it still tries does not happen. */
      const kill = async (gateway: Gateway) => {
        gateway.database.failure = new ContextStoreAway();
        gateway.bus.setConnected(false);
        await world.close(gateway);
      };
      const write = async (gateway: Gateway, place: number) => {
        const callId = `c-${Math.floor(random() * 4)}`;
        const id = `w${place}`;
        try {
          if (random() < 0.5)
            await gateway.contexts.save("t", {
              callId,
              data: { [id]: place },
              summary: `summary ${place}`,
              turns: [turn(id)],
            });
          else {
            await gateway.contexts.save("t", { callId, data: { [id]: place } });
            await gateway.contexts.appendTurns("t", callId, [turn(id)]);
          }
          const known = acknowledged.get(callId) ?? new Set();
          acknowledged.set(callId, known.add(id));
        } catch {
          // Not acknowledged: it may be there or not.
        }
      };

      for (const name of names) await start(name);
      for (let place = 0; place < 60; place++) {
        const name = pick(names);
        const gateway = gateways.get(name) as Gateway;
        const dice = random();
        if (dice < 0.6) await write(gateway, place);
        else if (dice < 0.68) gateway.database.failure = new ContextStoreAway();
        else if (dice < 0.78) gateway.database.failure = undefined;
        else if (dice < 0.84) gateway.bus.setConnected(random() < 0.6);
        else if (dice < 0.9) {
          const writing = write(gateway, place);
          await kill(gateway);
          await writing;
          await start(name);
        } else await world.pass(random() * 3000);
      }
      for (const { database, bus } of gateways.values()) {
        database.failure = undefined;
        database.onStep = () => {};
        bus.setConnected(true);
      }
      const isDone = () => [...gateways.values()].every((g) => idle(g) && !g.store.stats().away);
      await world.until(isDone);
      // A gateway may have had something on its disk that another one did not know of.
      for (let i = 0; i < 5; i++) await world.pass(1000);
      await world.until(isDone);

      const found = await world.shared.query({ tenant: "t", statuses: [], sinceMs: 0, limit: 100 });
      const byCall = new Map(found.contexts.map((context) => [context.callId, context]));
      expect(found.contexts.length).toBe(byCall.size);
      for (const [callId, ids] of acknowledged) {
        const context = byCall.get(callId);
        const turns = context?.turns.map((t) => t.id) ?? [];
        expect(new Set(turns).size).toBe(turns.length);
        expect(context?.turnCount).toBe(turns.length);
        for (const id of ids) {
          expect(turns).toContain(id);
          expect(Object.keys(context?.data ?? {})).toContain(id);
        }
        for (const { contexts } of gateways.values()) {
          const read = await contexts.get("t", { callId });
          expect(contextHash(read)).toBe(contextHash(context as typeof read));
        }
      }
      await world.end();
    },
  );
});
