import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { callee } from "@callweave/simulator";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../gateway/src/config/index.js";
import { textOf } from "../docs/repository.js";
import { until } from "../harness/gateway.js";
import { useRig } from "../harness/rig.js";

// The programs of docs/integrate.md as they are, on a real call.
const root = fileURLToPath(new URL("../../", import.meta.url));
const rig = useRig();
const SECRET = "the-secret-of-this-webhook";

/** A port that nobody has now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

function start(file: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  const { NODE_OPTIONS: _, ...inherited } = process.env;
  const child: ChildProcess = spawn(process.execPath, [`${root}examples/existing-desk/${file}`, ...args], {
    cwd: root,
    env: { ...inherited, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(child, "close");
  const program = {
    output: "",
    records: () =>
      program.output
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line)),
    async kill() {
      child.kill("SIGKILL");
      await exit;
    },
  };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    program.output += text;
  });
  rig.defer(() => program.kill());
  return program;
}

const ready = (program: { readonly output: string }) =>
  until(() => program.output.includes("ready"), "the program", 30_000);

describe("examples for an existing desk", () => {
  it("have at most 40 lines", () => {
    for (const file of ["webhook-receiver.mjs", "grpc-screen-pop.mjs", "screen-pop.mjs"]) {
      const lines = readFileSync(join(root, "examples/existing-desk", file), "utf8")
        .trimEnd()
        .split("\n");
      expect(lines.length, file).toBeLessThanOrEqual(40);
    }
  });

  it("are configured as docs/integrate.md says", async () => {
    const [sample = ""] = /```yaml check\n([\s\S]*?)```/.exec(textOf("docs/integrate.md"))?.slice(1) ?? [];
    const folder = await mkdtemp(join(tmpdir(), "integrate-"));
    rig.defer(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, "crm.secret"), "0".repeat(64));
    const file = join(folder, "callweave.yaml");
    await writeFile(file, sample);
    expect(loadConfig({ file, env: {}, cwd: folder }).webhooks).toMatchObject([
      { name: "crm", events: ["context_written", "ended"], includeContext: "header" },
    ]);
  });

  it("open the record of an escalated call while the phone rings, and by webhook after the receiver's outage too", async () => {
    const port = await freePort();
    const stack = await rig.stack({
      config: {
        webhooks_allowed_hosts: ["127.0.0.1"],
        webhooks: [
          {
            name: "crm",
            url: `http://127.0.0.1:${port}/`,
            secret: SECRET,
            events: ["context_written", "ended"],
            include_context: "header",
            first_retry_ms: 50,
            max_retry_ms: 200,
          },
        ],
      },
    });
    const env = {
      WEBHOOK_SECRET: SECRET,
      SEEN_FILE: join(stack.stateDir, "seen.txt"),
      CALLWEAVE_ADDRESS: stack.address,
    };
    const receiver = start("webhook-receiver.mjs", [String(port)], env);
    const screen = start("grpc-screen-pop.mjs", ["+15550101"], env);
    const agent = await rig.agent(stack, { answerOnAccept: true });
    await Promise.all([ready(receiver), ready(screen)]);

    /** A call whose agent asks for a person; answers its id. */
    const escalated = async (n: number, seen: () => unknown) => {
      const phone = stack.simulator.placeCall({
        from: "+15550100",
        to: "+15550101",
        callee: callee.never(),
      });
      const call = await agent.call(n);
      const done = call.escalate({
        reason: "ASKED_FOR_HUMAN",
        summary: `Call ${n}: the heating is cold.`,
        after: "now",
        target: { callee: { ringTimeSeconds: 2 } },
      });
      let over = false;
      void done.then(() => {
        over = true;
      });
      await until(seen, `call ${n} at the desk`);
      expect(over).toBe(false);
      await done;
      return phone.id;
    };

    const first = await escalated(1, () => receiver.records().length === 1 && screen.records().length === 1);
    const record = { callId: first, caller: "+15550100", summary: "Call 1: the heating is cold." };
    expect(receiver.records()).toEqual([record]);
    expect(screen.records()).toEqual([record]);

    await receiver.kill();
    const second = await escalated(2, () => screen.records().length === 2);
    const back = start("webhook-receiver.mjs", [String(port)], env);
    await until(() => back.records().length > 0, "the record after the outage");
    const ended = stack.gateway.ops.sources.webhooks;
    await until(() => ended?.views()[0]?.waiting === 0, "everything to be delivered");
    // The first call's record was open: what came again of it opens nothing.
    expect(back.records()).toEqual([
      { callId: second, caller: "+15550100", summary: "Call 2: the heating is cold." },
    ]);
    expect(ended?.views()[0]).toMatchObject({ deadLetters: 0, delivering: true });

    // Nobody else can open one.
    const forged = await fetch(`http://127.0.0.1:${port}/`, {
      method: "POST",
      body: JSON.stringify({ id: "x", context: { callId: "forged", escalationReason: "ASKED" } }),
      headers: { "Callweave-Signature": `t=${Math.floor(Date.now() / 1000)},v1=${"0".repeat(64)}` },
    });
    expect(forged.status).toBe(401);
    expect(back.records()).toHaveLength(1);
  });
});
