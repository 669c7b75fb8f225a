import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { callee, makeTone, tone } from "@callweave/simulator";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { FakeGateway } from "../../clients/typescript/testing/fake-gateway.js";
import { codeBlocks, ROOT, textOf } from "../docs/repository.js";
import { msHeard } from "../harness/audio.js";
import { type Stack, until } from "../harness/gateway.js";
import { useRig } from "../harness/rig.js";

// The programs of the README of the TypeScript client, as they stand, each as a process of its own.
const rig = useRig();
const programs = new Map(
  codeBlocks(textOf("clients/typescript/README.md"), "ts").map(({ info, code }) => [
    info.split(" ")[1],
    code,
  ]),
);

/** Inside the repository, so that packages are found; ignored by git. */
let folder = "";
let child: ChildProcess | undefined;
let output = "";

beforeAll(() => {
  mkdirSync(join(ROOT, ".cache"), { recursive: true });
  folder = mkdtempSync(join(ROOT, ".cache", "readme-"));
  // As in a project of a user, whose package.json says the same.
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  for (const [name, code] of programs) if (name) writeFileSync(join(folder, name), code);
});

afterEach(async () => {
  if (child && child.exitCode === null && child.signalCode === null) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  child = undefined;
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(endpoint: string, args: readonly string[]): ChildProcess {
  output = "";
  const { NODE_OPTIONS: _, ...inherited } = process.env;
  const env = { ...inherited, CALLWEAVE_ENDPOINT: endpoint };
  const started = spawn(process.execPath, ["--import", "tsx", ...args], { env, cwd: folder });
  for (const stream of [started.stdout, started.stderr]) {
    stream.on("data", (data: Buffer) => {
      output += data.toString();
    });
  }
  child = started;
  return started;
}

async function registered(stack: Stack): Promise<void> {
  await until(
    () => stack.gateway.gateway.fleet.agents("default", "").length > 0,
    `the agent to register: ${output}`,
    30_000,
  );
}

function rawTone(name: string, hz: number): string {
  const samples = makeTone(hz, 0.6, 16_000, 8_000);
  writeFileSync(join(folder, name), Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength));
  return name;
}

/** What a project with OpenTelemetry has set up: a propagator, contexts that follow promises, spans that are told. */
const TELEMETRY = `
import { AsyncLocalStorage } from "node:async_hooks";
import { context, propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";

const storage = new AsyncLocalStorage();
context.setGlobalContextManager({
  active: () => storage.getStore() ?? ROOT_CONTEXT,
  with: (active, run, self, ...args) => storage.run(active, () => run.apply(self, args)),
  bind: (active, target) => target,
  enable() {},
  disable() {},
});
propagation.setGlobalPropagator({
  inject(active, carrier, setter) {
    const span = trace.getSpanContext(active);
    if (span) setter.set(carrier, "traceparent", \`00-\${span.traceId}-\${span.spanId}-01\`);
  },
  extract: (active) => active,
  fields: () => ["traceparent"],
});
const spanContext = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", traceFlags: 1 };
const tracer = {
  startSpan: (name, { attributes }) =>
    Object.assign(trace.wrapSpanContext(spanContext), {
      end: () => console.log(JSON.stringify({ span: name, attributes })),
    }),
  startActiveSpan(name, options, run) {
    const span = tracer.startSpan(name, options);
    return context.with(trace.setSpan(context.active(), span), run, undefined, span);
  },
};
trace.setGlobalTracerProvider({ getTracer: () => tracer });
`;

describe("the README of the TypeScript client", () => {
  it("says hello in at most 20 lines and escalates in at most 40", () => {
    const lines = (name: string) =>
      programs.get(name)?.trimEnd().split("\n").length ?? Number.POSITIVE_INFINITY;
    expect(lines("hello.ts")).toBeLessThanOrEqual(20);
    expect(lines("escalate.ts")).toBeLessThanOrEqual(40);
  });

  it("hello.ts beeps, echoes, and drains at SIGTERM", async () => {
    const stack = await rig.stack({ simulator: { playoutBufferMs: 300 } });
    const agent = run(stack.address, ["hello.ts"]);
    await registered(stack);
    const phone = stack.simulator.placeCall({ caller: [tone(1000, 30, 4_000)] });
    // i × 0.17 of a radian at 16 kHz.
    await phone.waitUntil(() => msHeard(phone, "caller", 430) > 300 && msHeard(phone, "caller", 1000) > 300, {
      timeoutMs: 30_000,
    });
    agent.kill("SIGTERM");
    phone.hangUp();
    const [code] = await once(agent, "exit");
    expect({ code, output }).toEqual({ code: 0, output: "" });
  });

  it("escalate.ts leaves the caller with the human, and comes back when nobody is there", async () => {
    const stack = await rig.stack({ simulator: { playoutBufferMs: 300 } });
    run(stack.address, ["escalate.ts", rawTone("announcement.raw", 440), rawTone("nobody.raw", 700)]);
    await registered(stack);
    const connected = stack.simulator.placeCall({ callee: callee.picksUp({ afterSeconds: 0.3 }) });
    await connected.waitUntil(() => connected.agentLeft, { timeoutMs: 30_000 });
    expect(connected.state).toBe("CONNECTED");
    expect(msHeard(connected, "caller", 440)).toBeGreaterThan(400);
    const { contexts } = rig.client(stack);
    await until(
      async () => (await contexts.get(connected.id)).status === "HANDED_OVER",
      "the record to say so",
    );
    expect(await contexts.get(connected.id)).toMatchObject({ data: { invoice: "4711" }, turnCount: 1 });

    const alone = stack.simulator.placeCall({ callee: callee.rejects(0.3) });
    await alone.waitFor("DISCONNECTED", 20_000);
    expect(msHeard(alone, "caller", 700)).toBeGreaterThan(400);
    expect(output).toBe("");
  });

  it("tracing.ts hands the trace on and ends a span for each call", async () => {
    const seen: unknown[] = [];
    const gateway = new FakeGateway();
    await gateway.start({
      contexts: {
        appendTurns(call, callback) {
          seen.push(call.metadata.get("traceparent")[0]);
          callback(null, { turnCount: 1, durability: 1, revision: 1 } as never);
        },
      },
    });
    rig.defer(() => gateway.stop());
    writeFileSync(join(folder, "telemetry.mjs"), TELEMETRY);
    run(gateway.endpoint, ["--import", "./telemetry.mjs", "tracing.ts"]);
    const stream = await gateway.stream(0, 30_000);
    await stream.assign("call-1", 1);
    const command = await stream.next("command");
    stream.result(command.requestId, 1);
    await until(() => output.includes("span"), "the span to end");
    expect(JSON.parse(output)).toEqual({ span: "call", attributes: { "callweave.call_id": "call-1" } });
    expect(seen).toEqual(["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]);
  });
});
