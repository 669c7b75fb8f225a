import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { type Call, type CallContext, type CallweaveClient, connect, type Worker } from "callweave";
import { start } from "./agent.js";
import { echo, pieces, record } from "./audio.js";
import { inBackground, ProgramError, print, told } from "./io.js";
import { simpleForm } from "./simple-form.js";

/** A command as it came. */
// biome-ignore lint/suspicious/noExplicitAny: arguments differ by command
export type Args = Record<string, any>;

/** What a command does; its value is the answer. */
export type Action = (args: Args, state: State) => unknown;

/** What the program has between `start` and `stop`. */
export class State {
  worker: Worker | undefined;
  readonly calls = new Map<string, Call>();
  readonly clients: CallweaveClient[] = [];
  /** What the program uses in the place of a call; the deliberately wrong agents put another there. */
  as: (call: Call) => Call = (call) => call;
  /** The agent is over, by itself or after a drain. */
  over: () => void = () => {};

  /** A call of the agent, those that are over too. */
  call({ call: id }: Args): Call {
    const call = this.calls.get(id);
    if (!call) throw new ProgramError(`there is no call ${id}`);
    return call;
  }

  /** A client without a seat. */
  client({ endpoints, token }: Args): CallweaveClient {
    const client = connect({ endpoints, ...(token ? { token } : {}) });
    this.clients.push(client);
    return client;
  }

  /** As fresh as at the start of the program. */
  async stop(): Promise<void> {
    const { worker } = this;
    this.worker = undefined;
    await worker?.close();
    for (const client of this.clients.splice(0)) client.close();
    this.calls.clear();
  }
}

async function watch(args: Args, state: State): Promise<void> {
  const { calls } = state.client(args);
  const { cursor } = await calls.list();
  await new Promise<void>((live, failed) => {
    const follow = async () => {
      for await (const item of calls.watch({ cursor })) {
        if (item.type === "live") live();
        else print({ event: "watched", call: item.event.callId, ...pick(item.event, "type", "sequence") });
      }
    };
    follow().catch(failed);
  });
}

function play(args: Args, state: State): Promise<string> {
  const audio = readFileSync(args.file);
  return state.call(args).play(args.pieceBytes ? pieces(audio, args.pieceBytes) : audio);
}

function outlined({ callId, status, summary, turns }: CallContext): object {
  return { callId, status, summary, turns: turns.length, lastTurn: turns.at(-1)?.text };
}

function pick<T, K extends keyof T>(from: T, ...keys: K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K>;
}

/** The arguments of a verb. */
// biome-ignore lint/suspicious/noExplicitAny: they differ by verb, and the client checks them
const optionsOf = ({ id: _, do: __, call: ___, ...rest }: Args): any => rest;

/** What a program can be told. */
export const ACTIONS: Readonly<Record<string, Action>> = {
  start,
  drain: (_, state) => state.worker?.drain(),
  stop: (_, state) => state.stop(),
  play: async (args, state) => ({ end: await play(args, state) }),
  mark: async (args, state) => ({ end: await state.call(args).mark(args.name) }),
  drained: async (args, state) => ({ end: await state.call(args).drained() }),
  clear: (args, state) => state.call(args).clear(),
  playback: (args, state) => state.call(args).playback,
  echo: (args, state) => inBackground(echo(state.call(args), args.keepBackMs), args.call),
  record: (args, state) => inBackground(record(state.call(args).audio(), args.call, args.file), args.call),
  answer: (args, state) => state.call(args).answer(optionsOf(args)),
  connect: (args, state) => state.call(args).connect(optionsOf(args)),
  setMode: (args, state) => state.call(args).setMode(args.mode, pick(args, "requestId")),
  escalate: (args, state) => state.call(args).escalate(optionsOf(args)),
  transfer: (args, state) => state.call(args).transfer(optionsOf(args)),
  release: (args, state) => state.call(args).release(optionsOf(args)),
  close: (args, state) => state.call(args).close(optionsOf(args)),
  disconnect: (args, state) => state.call(args).disconnect(optionsOf(args)),
  appendTurns: (args, state) => state.call(args).appendTurns(args.turns),
  getContext: async (args, state) => outlined(await state.call(args).getContext()),
  watch,
  listen(args, state) {
    const audio = state.client(args).calls.listen(args.call);
    inBackground(record(audio, args.call, args.file), args.call);
  },
  readContext: async (args, state) => outlined(await state.client(args).contexts.get(args.call)),
  async findContexts(args, state) {
    const found = await state.client(args).contexts.find(pick(args, "caller"));
    return { calls: found.map(({ callId }) => callId) };
  },
  simpleForm: (args) => simpleForm(args, print),
};

async function obey(args: Args, actions: Readonly<Record<string, Action>>, state: State): Promise<void> {
  try {
    const action = actions[args.do];
    if (!action) throw new ProgramError(`unknown command ${args.do}`);
    print({ id: args.id, ok: true, value: (await action(args, state)) ?? {} });
  } catch (error) {
    print({ id: args.id, ok: false, error: told(error) });
  }
}

/** Obeys the lines of standard input until `exit` or their end; or, told by SIGTERM, until the agent has drained. */
export async function runProgram(
  actions: Readonly<Record<string, Action>> = ACTIONS,
  state = new State(),
): Promise<void> {
  let terminated = false;
  const leave = () => process.stdout.write("", () => process.exit(0));
  state.over = () => void (terminated && leave());
  process.once("SIGTERM", () => {
    terminated = true;
    if (!state.worker) leave();
  });
  print({ event: "hello", protocol: 1, language: "typescript" });
  for await (const line of createInterface({ input: process.stdin })) {
    const args = JSON.parse(line) as Args;
    if (args.do === "exit") break;
    void obey(args, actions, state);
  }
  await state.stop();
  leave();
}
