import type { CommandFault } from "@callweave/simulator";
import { callTimeMs } from "../harness/audio.js";
import { fill } from "./fill.js";
import { HEARD } from "./heard.js";
import { mismatch } from "./match.js";
import type { Reply } from "./program.js";
import type { Step } from "./scenario.js";
import { SEEN } from "./seen.js";
import type { Stage } from "./stage.js";
import type { StepArguments, StepName } from "./steps-schema.js";

/** What a step does; throws what is wrong. */
export type Doer<N extends StepName> = (stage: Stage, args: StepArguments<N>) => unknown;

/** How long a program has to be registered, or to be refused. */
const START_MS = 40_000;

const DOERS: { readonly [N in StepName]: Doer<N> } = {
  async start(stage, { program: name, via, options, refused, later }) {
    const program = await stage.program(name);
    const endpoints = await stage.ways.endpoints(via);
    const defaults = { agentId: name, capacity: 10 };
    const wait = program.tell({ do: "start", endpoints, ...defaults, ...fill(stage, options) });
    if (later) return void stage.later.set(later, wait);
    const reply = await wait(START_MS);
    judge(`"start"`, reply, { refused });
    if (reply.ok) stage.instanceIds.set(name, String(reply.value.instanceId));
  },
  place(stage, { call, from, caller, callee, times }) {
    if (times === undefined) return stage.place(call, from, caller, callee);
    for (let n = 1; n <= times; n++) {
      stage.place(`${call}${n}`, `+155501${String(n).padStart(2, "0")}`, caller, callee);
    }
  },
  hangUp: (stage, { call, who }) => stage.call(call).hangUp(who),
  async tell(stage, { call, later, has, refused, withinMs, ...told }) {
    const wait = await tell(stage, told, call ?? "c");
    if (later) return void stage.later.set(later, wait);
    judge(`"${told.do}"`, await wait(withinMs), { has: has && fill(stage, has), refused });
  },
  async tellEach(stage, { calls, withinMs, ...told }) {
    const waits = await Promise.all(stage.callsOf(calls).map(({ name }) => tell(stage, told, name)));
    for (const wait of waits) judge(`"${told.do}"`, await wait(withinMs), {});
  },
  async tellTurns(stage, { program, call, count, each }) {
    for (let first = 0; first < count; first += each) {
      const turns = { makeTurns: [first, Math.min(each, count - first)] };
      const wait = await tell(stage, { program, do: "appendTurns", with: { turns } }, call);
      judge(`"appendTurns"`, await wait(10_000), { has: { turnCount: Math.min(first + each, count) } });
    }
  },
  async result(stage, { of, has, refused, withinMs }) {
    const wait = stage.later.get(of);
    if (!wait) throw new Error(`no "tell" is called "${of}"`);
    judge(`"${of}"`, await wait(withinMs), { has: has && fill(stage, has), refused });
  },
  fault: (stage, { call, ...fault }) => stage.call(call).faults.onCommand(fault as CommandFault),
  async floodEach(stage, { calls, ms, times }) {
    for (let n = 0; n < times; n++) {
      for (const { phone } of stage.callsOf(calls)) phone.faults.floodAudio(ms);
      // What the gateway cannot give on at once it would drop.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
  kill: async (stage, { program }) => (await stage.spoil(program)).end(),
  freeze: async (stage, { program }) => (await stage.spoil(program)).signal("SIGSTOP"),
  thaw: async (stage, { program }) => (await stage.program(program)).signal("SIGCONT"),
  terminate: async (stage, { program }) => (await stage.spoil(program)).signal("SIGTERM"),
  async ends(stage, { program, withinMs }) {
    const wrong = await (await stage.spoil(program)).ended(withinMs);
    if (wrong) throw new Error(wrong);
  },
  cut: (stage) => stage.ways.cut(true),
  mend: (stage) => stage.ways.cut(false),
  storeRefuses: (stage) => stage.storeRefuses(),
  async token(stage, { program, file, seconds }) {
    // Its start is no part of the token's time.
    await stage.program(program);
    await stage.secrets.writeToken(file, seconds);
  },
  gatewayLeaves(stage) {
    void stage.stack.gateway.drain(30_000).catch(() => {});
  },
  lasts: (_, { ms }) => new Promise((resolve) => setTimeout(resolve, ms)),
  async time(stage, { name, call, at }) {
    const phone = stage.call(call);
    stage.times.set(name, at === undefined ? callTimeMs(phone) : (await phone.waitForEvent(at)).callMs);
  },
  ...HEARD,
  ...SEEN,
  async told(stage, { program: name, what, has, times, withinMs }) {
    const program = await stage.program(name);
    await program.told(
      what,
      (line) => !mismatch(line, fill(stage, has)),
      times,
      withinMs,
      JSON.stringify(has),
    );
  },
  async notTold(stage, { program: name, what, has }) {
    const program = await stage.program(name);
    const wanted = fill(stage, has);
    const found = program.reports.find((line) => line.event === what && !mismatch(line, wanted));
    if (found) throw new Error(`program ${name} reported ${JSON.stringify(found)}`);
  },
  async memoryFrom(stage, { program: name }) {
    stage.memoryMiB.set(name, stage.residentMiB(await stage.spoil(name)));
  },
  async memory(stage, { program: name, growsAtMostMiB }) {
    const grown = stage.residentMiB(await stage.program(name)) - (stage.memoryMiB.get(name) ?? 0);
    if (grown > growsAtMostMiB) {
      throw new Error(`program ${name} grew by ${grown.toFixed(0)} MiB, more than ${growsAtMostMiB}`);
    }
  },
};

/** Does a step. Throws what is wrong. */
export async function doStep(stage: Stage, { name, args }: Step): Promise<void> {
  await (DOERS[name] as (stage: Stage, args: unknown) => unknown)(stage, args);
}

type Told = Omit<StepArguments<"tellEach">, "calls" | "withinMs">;

async function tell(
  stage: Stage,
  { program: name, do: what, with: more, audio, file, via }: Told,
  call: string,
) {
  const program = await stage.program(name);
  const rate = Number(more.sampleRateHertz ?? stage.rate);
  return program.tell({
    do: what,
    ...(stage.calls.has(call) ? { call: stage.call(call).id } : {}),
    ...(audio ? { file: await stage.audioFile(audio, rate, call) } : {}),
    ...(file ? { file: stage.path(file) } : {}),
    ...(via ? { endpoints: await stage.ways.endpoints(via) } : {}),
    ...fill(stage, more),
  });
}

function judge(
  what: string,
  reply: Reply,
  { has, refused }: { has?: object | undefined; refused?: object | undefined },
): void {
  if (reply.ok) {
    if (refused) throw new Error(`${what} was not refused but answered ${JSON.stringify(reply.value)}`);
    const wrong = has && mismatch(reply.value, has);
    if (wrong) throw new Error(`${what} was answered otherwise: ${wrong}`);
    return;
  }
  if (!refused) throw new Error(`${what} failed: ${JSON.stringify(reply.error)}`);
  const wrong = mismatch(reply.error, refused);
  if (wrong) throw new Error(`${what} was refused in another way: ${wrong} (${JSON.stringify(reply.error)})`);
}
