import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { callee, type SimCall, sayAfterAgent, Voice } from "@callweave/simulator";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pythonVenv } from "../../scripts/python-venv.js";
import { bytesOf } from "../harness/audio.js";
import { type Stack, startStack, until } from "../harness/gateway.js";

// The receptionist in real speech: flite speaks on both sides, pocketsphinx understands. What it says is known to the sample.
const folder = fileURLToPath(new URL("../../agents/receptionist/", import.meta.url));
const KNOWN = "+15550101";
const UNKNOWN = "+15550102";
const CREATE = `
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as db:
    db.execute("CREATE TABLE customers (phone TEXT PRIMARY KEY, name TEXT NOT NULL)")
    db.execute("INSERT INTO customers VALUES (?, ?)", (sys.argv[2], "Maria Jones"))
`;
const SENTENCES = [
  "Good day.",
  "Good day, Maria Jones.",
  "One moment, I connect you.",
  "Thank you, I pass that on. Goodbye.",
];
const PIECE_BYTES = 1_280;
/** Nobody else can read meanwhile. */
const LOCK = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
`;

let python: string;
let stack: Stack;
let files: string;
let database: string;
let agent: ChildProcess;
let output = "";
const spoken = new Map<string, Buffer>();

beforeAll(async () => {
  const venv = pythonVenv();
  if (!venv) throw new Error("Python 3.10 or newer is not installed");
  python = venv.python;
  const voice = new Voice();
  for (const text of SENTENCES)
    spoken.set(text, Buffer.from(bytesOf((await voice.say(text, "slt")).samples)));
  await voice.close();
  stack = await startStack({ simulator: { playoutBufferMs: 300 } });
  files = await mkdtemp(join(tmpdir(), "callweave-receptionist-"));
  database = join(files, "customers.db");
  execFileSync(python, ["-c", CREATE, database, KNOWN]);
  agent = spawn(python, ["-u", join(folder, "main.py"), "--database", database], {
    env: { ...process.env, CALLWEAVE_ENDPOINT: stack.address },
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [agent.stdout, agent.stderr]) {
    stream?.on("data", (data: Buffer) => {
      output += data.toString();
    });
  }
  await until(
    () => {
      if (agent.exitCode !== null) throw new Error(`the receptionist ended: ${output}`);
      return stack.gateway.gateway.fleet.agents("default", "").length > 0;
    },
    "the receptionist to register",
    30_000,
  );
}, 600_000);

afterAll(async () => {
  if (agent && agent.exitCode === null) {
    agent.kill("SIGTERM");
    await once(agent, "exit");
  }
  await stack?.stop();
  if (files) await rm(files, { recursive: true, force: true });
  expect(agent?.exitCode, output).toBe(0);
});

/**
 * Whether the caller heard these words: nearly all pieces of 40 ms that are not silent, sample by sample. A busy machine may put
 * a hole into a sentence, which spoils the pieces around it.
 */
function heard(call: SimCall, text: string): boolean {
  const said = spoken.get(text);
  if (!said) throw new Error(`not prepared: ${text}`);
  const recording = Buffer.from(bytesOf(call.recording.track("caller")));
  const pieces = Array.from({ length: Math.floor(said.length / PIECE_BYTES) }, (_, n) =>
    said.subarray(n * PIECE_BYTES, (n + 1) * PIECE_BYTES),
  ).filter((piece) => new Set(piece).size > 60);
  expect(pieces.length).toBeGreaterThan(5);
  return pieces.filter((piece) => recording.includes(piece)).length > pieces.length * 0.8;
}

const contextOf = (call: SimCall) => stack.gateway.gateway.contexts.get("default", { callId: call.id });

describe("the receptionist", () => {
  it("greets a known caller by name and connects; a stranger leaves a message", async () => {
    const known = stack.simulator.placeCall({
      from: KNOWN,
      caller: sayAfterAgent("please connect me to a person", "rms"),
      callee: callee.picksUp({ afterSeconds: 0.3 }),
    });
    const stranger = stack.simulator.placeCall({
      from: UNKNOWN,
      caller: [
        ...sayAfterAgent("i would like to leave a message", "rms"),
        ...sayAfterAgent("please call me back tomorrow morning", "rms"),
      ],
    });
    await known.waitUntil(() => known.agentLeft, { timeoutMs: 40_000 });
    expect(heard(known, "Good day, Maria Jones.")).toBe(true);
    expect(heard(known, "One moment, I connect you.")).toBe(true);
    await until(async () => (await contextOf(known)).status === "HANDED_OVER", "the context of the human");
    expect(await contextOf(known)).toMatchObject({
      escalationReason: "ASKED_FOR_HUMAN",
      summary: "Maria Jones asked for a person.",
      data: { customer: "Maria Jones" },
    });
    known.hangUp();

    await stranger.waitFor("DISCONNECTED", 40_000);
    expect(heard(stranger, "Good day.")).toBe(true);
    expect(heard(stranger, "Good day, Maria Jones.")).toBe(false);
    expect(heard(stranger, "Thank you, I pass that on. Goodbye.")).toBe(true);
    const context = await contextOf(stranger);
    expect(context).toMatchObject({ status: "CALLBACK_WANTED", summarySource: "RULES" });
    const words = context.turns.filter(({ role }) => role === "CALLER").map(({ text }) => text);
    expect(words).toHaveLength(2);
    expect(words[0]).toContain("message");
    expect(words[1]).toContain("call me back");
    expect(context.data).toMatchObject({ message: words[1] });
    expect(context.summary).toContain(words[1]);
    expect(output).toBe("");
  }, 90_000);

  it("greets without a name, and not later, when the database is slow", async () => {
    const lock = spawn(python, ["-c", LOCK, database], { stdio: ["pipe", "pipe", "inherit"] });
    await once(lock.stdout, "data");
    const call = stack.simulator.placeCall({ from: KNOWN });
    await call.waitUntil(() => heard(call, "Good day."), { timeoutMs: 20_000 });
    expect(output).toContain("look-up failed: TimeoutError");
    const answeredMs = call.events.find(({ type }) => type.includes("answer"))?.callMs ?? 0;
    const firstWordMs = call.recording.agentSpansAt("caller")[0]?.startMs ?? Number.POSITIVE_INFINITY;
    expect(firstWordMs - answeredMs).toBeLessThan(2_500);
    expect(heard(call, "Good day, Maria Jones.")).toBe(false);
    call.hangUp();
    lock.stdin.end();
    await once(lock, "exit");
  }, 60_000);
});
