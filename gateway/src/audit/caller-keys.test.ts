import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import type { CallerKeyStore } from "./caller-keys.js";
import { describeCallerKeys } from "./caller-keys-suite.js";
import { openEmbeddedCallerKeys } from "./embedded-caller-keys.js";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
function stateDir(): string {
  folders.push(mkdtempSync(join(tmpdir(), "callweave-callers-")));
  return folders.at(-1) as string;
}

let current: CallerKeyStore | undefined;
// One process has the folder.
describeCallerKeys("in the state folder", async (fresh) => {
  if (fresh || !current) current = await openEmbeddedCallerKeys(stateDir());
  return current;
});

it("writes over destroyed keys and uses their places again, also after a restart", async () => {
  const state = stateDir();
  const first = await openEmbeddedCallerKeys(state);
  const keys = [...(await first.ensure(["a", "b", "c"], Date.now())).values()];
  await first.destroy("b");
  await first.close();
  const inFiles = (key: Buffer | undefined) =>
    readdirSync(join(state, "callers")).filter((name) =>
      readFileSync(join(state, "callers", name)).includes(key ?? "none"),
    );
  expect(keys.map((key) => inFiles(key))).toEqual([["keys"], [], ["keys"]]);
  const again = await openEmbeddedCallerKeys(state);
  expect(await again.find("a")).toEqual(keys[0]);
  await again.ensure(["d", "e"], Date.now());
  await again.close();
  expect(readFileSync(join(state, "callers", "keys"))).toHaveLength(4 * 32);
});

it("gives a new key where a crash or a hand left none", async () => {
  const state = stateDir();
  const first = await openEmbeddedCallerKeys(state);
  await first.ensure(["a"], Date.now());
  await first.close();
  writeFileSync(join(state, "callers", "keys"), "");
  const again = await openEmbeddedCallerKeys(state);
  expect(await again.find("a")).toBeUndefined();
  const made = (await again.ensure(["a"], Date.now())).get("a");
  expect(await again.find("a")).toEqual(made);
  await again.close();
});
