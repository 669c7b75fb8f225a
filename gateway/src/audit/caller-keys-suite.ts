import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import type { CallerKeyStore } from "./caller-keys.js";
import { CallerNumbers } from "./caller-numbers.js";

const DAY_MS = 86_400_000;
const NOW_MS = 20_000 * DAY_MS;
const ERASED = { tenant: "acme", number: "+15550100" };

/**
 * What holds for the keys of callers wherever they are kept. `open` makes the store of a gateway; a second one of the same
 * test is that of another gateway where gateways share it, the same otherwise.
 */
export function describeCallerKeys(name: string, open: (fresh: boolean) => Promise<CallerKeyStore>): void {
  describe(`keys of callers: ${name}`, () => {
    const stores = new Set<CallerKeyStore>();
    const opened = async (fresh: boolean) => {
      const store = await open(fresh);
      stores.add(store);
      return store;
    };
    const two = async () => [await opened(true), await opened(false)] as const;
    afterEach(async () => {
      for (const store of stores) await store.close();
      stores.clear();
    });

    it("are made once, however many ask at the same time, and are the same for all", async () => {
      const [a, b] = await two();
      const ids = Array.from({ length: 40 }, (_, i) => `id-${i}`);
      const [one, other, again] = await Promise.all([
        a.ensure(ids, NOW_MS),
        b.ensure([...ids].reverse(), NOW_MS),
        a.ensure(ids.slice(20), NOW_MS),
      ]);
      expect([...one.keys()].sort()).toEqual([...ids].sort());
      for (const id of ids) {
        expect(one.get(id)?.length).toBe(32);
        expect(other.get(id)).toEqual(one.get(id));
        expect(await b.find(id)).toEqual(one.get(id));
      }
      for (const id of ids.slice(20)) expect(again.get(id)).toEqual(one.get(id));
      expect(new Set([...one.values()].map((key) => key.toString("hex"))).size).toBe(40);
      expect(await a.find("nobody")).toBeUndefined();
    });

    it("are gone for all once they are destroyed, and another one comes after", async () => {
      const [a, b] = await two();
      const before = (await a.ensure(["x", "y"], NOW_MS)).get("x");
      expect(await b.destroy("x")).toEqual(before);
      expect(await a.destroy("x")).toBeUndefined();
      expect(await a.find("x")).toBeUndefined();
      const after = (await a.ensure(["x"], NOW_MS)).get("x");
      expect(after).toHaveLength(32);
      expect(after).not.toEqual(before);
      expect(await b.find("y")).toHaveLength(32);
    });

    it("go when they were not used for long enough, so many at a time", async () => {
      const [a] = await two();
      await a.ensure(["old-1", "old-2", "old-3", "used"], NOW_MS - 10 * DAY_MS);
      await a.ensure(["used", "new"], NOW_MS);
      expect(await a.removeUnused(NOW_MS - 10 * DAY_MS, 10)).toBe(0);
      expect(await a.removeUnused(NOW_MS - DAY_MS, 2)).toBe(2);
      expect(await a.removeUnused(NOW_MS - DAY_MS, 2)).toBe(1);
      expect(await a.removeUnused(NOW_MS - DAY_MS, 2)).toBe(0);
      for (const id of ["old-1", "old-2", "old-3"]) expect(await a.find(id)).toBeUndefined();
      for (const id of ["used", "new"]) expect(await a.find(id)).toHaveLength(32);
    });

    it("have one salt, and are refused to a gateway with another key of the installation", async () => {
      const [a, b] = await two();
      const secret = randomBytes(32);
      const [one, other] = [new CallerNumbers(a, secret), new CallerNumbers(b, Buffer.from(secret))];
      const [[hash], [same]] = await Promise.all([one.hashes([ERASED]), other.hashes([ERASED, ERASED])]);
      expect(same).toBe(hash);
      expect(hash).toMatch(/^[0-9a-f]{32}$/);
      const stranger = new CallerNumbers(b, randomBytes(32));
      await expect(stranger.erase(ERASED)).rejects.toThrow("audit.key_file");
      await expect(stranger.hashes([ERASED])).rejects.toThrow("audit.key_file");
      // What one erases is what the other wrote.
      expect(await other.erase(ERASED)).toBe(hash);
      expect(await one.find(ERASED)).toBeUndefined();
    });
  });
}
