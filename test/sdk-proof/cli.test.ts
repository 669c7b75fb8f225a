import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readWav, toneSpans } from "@callweave/simulator";
import { afterEach, describe, expect, it } from "vitest";
import { SdkAgent } from "./sdk-agent.js";
import { sdkPython } from "./venv.js";

const CLI = fileURLToPath(new URL("../../simulator/src/cli.ts", import.meta.url));
const found = await sdkPython();
if ("skip" in found) console.warn(`cli test skipped: ${found.skip}`);

describe.skipIf("skip" in found)("the simulator's command line", () => {
  const children: ChildProcess[] = [];
  const agents: SdkAgent[] = [];

  /** Runs the CLI; `line` resolves with the first line of output that matches. */
  function cli(...args: string[]) {
    const child = spawn(process.execPath, ["--import", "tsx", CLI, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.push(child);
    let output = "";
    const waiters = new Set<() => void>();
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        output += chunk.toString();
        for (const waiter of waiters) waiter();
      });
    return {
      exit: new Promise<number | null>((resolve) => child.once("exit", resolve)),
      output: () => output,
      line: (pattern: RegExp) =>
        new Promise<RegExpExecArray>((resolve, reject) => {
          const look = () => {
            const match = pattern.exec(output);
            if (!match) return;
            clearTimeout(timer);
            waiters.delete(look);
            resolve(match);
          };
          const timer = setTimeout(() => reject(new Error(`no ${pattern} in:\n${output}`)), 20_000);
          waiters.add(look);
          look();
        }),
    };
  }

  afterEach(async () => {
    for (const agent of agents.splice(0)) await agent.stop();
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });

  it("serves, places a call, follows it and writes the recording", async () => {
    const server = cli("serve", "--port", "0", "--connector", "uuid-1,key-1,+15550177");
    const url = (await server.line(/simulator: (\S+)/))[1] as string;
    const agent = new SdkAgent({
      python: "python" in found ? found.python : "",
      url,
      apiKey: "key-1",
      connectorUuid: "uuid-1",
    });
    agents.push(agent);
    await agent.waitFor("connected");
    const directory = await mkdtemp(join(tmpdir(), "callweave-cli-"));
    try {
      const args = ["--url", url, "--from", "+15550178", "--say", "Hello", "--hang-up-after", "0.5"];
      const call = cli("call", ...args, "--fault", "malformed@0.5:not_json", "--out", directory);
      const { session, caller, callee } = await agent.waitFor("call");
      expect([caller, callee]).toEqual(["+15550178", "+15550177"]);
      await agent.do("answer", { session });
      await agent.do("tone", { session, hz: 1200, seconds: 1 });
      expect(await call.exit).toBe(0);
      expect(call.output()).toMatch(/state\.ANSWERED[\s\S]*fault\.malformed[\s\S]*ended: caller_hung_up/);
      expect((await readdir(directory)).length).toBe(6);
      const heard = await readWav(join(directory, "caller.wav"));
      expect(toneSpans(heard.samples, heard.sampleRate, 1200, { bridgeMs: 40 }).length).toBe(1);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  it("says what is wrong with its arguments, and that nobody serves", async () => {
    const wrong = cli("call", "--callee", "dances");
    expect(await wrong.exit).not.toBe(0);
    expect(wrong.output()).toContain('unknown callee "dances"');
    const alone = cli("call", "--url", "ws://127.0.0.1:9");
    expect(await alone.exit).toBe(1);
    expect(alone.output()).toContain("simulator:");
  });
});
