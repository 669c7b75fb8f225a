// Deliberately wrong agents, one by name. The runner has to catch each: wrong-agents.test.ts.
import { randomUUID } from "node:crypto";
import { agent, type Call, type PlaySource } from "callweave";
import { print } from "../programs/typescript/io.js";
import { ACTIONS, type Action, runProgram, State } from "../programs/typescript/program.js";

const FRAME_BYTES = 640;

/** The methods of a call that a wrong agent has in the place of the right ones. */
type Wrong = (call: Call) => Partial<Call>;

/** What is wrong with the calls of an agent. */
const CALLS: Readonly<Record<string, Wrong>> = {
  "swaps-two-frames": (call) => ({
    play: (audio) => call.play(audio instanceof Uint8Array ? swapped(audio) : audio),
  }),
  "drops-the-odd-byte": (call) => ({
    play: (audio) => call.play(audio instanceof Uint8Array ? audio : evenPieces(audio)),
  }),
  "answers-untold": (call) => {
    void call.answer();
    return {};
  },
  "repeats-with-a-new-id": (call) => ({
    connect: (options) =>
      call.connect(options).catch(() => call.connect({ ...options, requestId: randomUUID() })),
  }),
  "plays-after-clear": (call) => {
    let last: PlaySource = Buffer.alloc(0);
    return {
      play(audio) {
        last = audio;
        return call.play(audio);
      },
      async clear() {
        const cleared = await call.clear();
        void call.play(last);
        return cleared;
      },
    };
  },
  "ignores-gaps": (call) => ({
    async *audio() {
      for await (const chunk of call.audio()) if (chunk.pcm) yield chunk;
    },
  }),
  "says-marks-early": () => ({ mark: async () => "PLAYED" }),
  "escalates-without-leaving": (call) => ({
    async escalate({ summary }) {
      await call.saveContext({ summary });
      await call.connect({ after: "drained", ringTimeSeconds: 20 });
      return { outcome: "CONNECTED", durability: "STORE" };
    },
  }),
};

/** What is wrong with the commands of a program. */
const COMMANDS: Readonly<Record<string, Readonly<Record<string, Action>>>> = {
  /** Takes the call of the simple form and keeps it. */
  "holds-after-bye": {
    async simpleForm({ endpoints, agentId }) {
      const call = await new Promise<Call>((resolve) => {
        const worker = agent({ endpoints, agentId, whenHandlerReturns: "keep" }, resolve);
        worker.run().catch(() => {});
        void worker.start().then(() => print({ event: "registered" }));
      });
      print({ event: "call", call: call.id });
      await call.play(Buffer.alloc(FRAME_BYTES));
      return { call: call.id };
    },
  },
  /** Unread audio stays in memory. */
  "keeps-what-nobody-reads": {
    start: (args, state) => ACTIONS.start?.({ ...args, maxAudioQueuedMs: 600_000 }, state),
  },
  /** At SIGTERM it goes, and its calls fall. */
  "falls-at-sigterm": {
    start(args, state) {
      process.prependListener("SIGTERM", () => process.exit(0));
      return ACTIONS.start?.(args, state);
    },
  },
};

function swapped(audio: Uint8Array): Uint8Array {
  const copy = Buffer.from(audio);
  if (copy.length < 4 * FRAME_BYTES) return copy;
  copy.set(audio.subarray(2 * FRAME_BYTES, 3 * FRAME_BYTES), FRAME_BYTES);
  copy.set(audio.subarray(FRAME_BYTES, 2 * FRAME_BYTES), 2 * FRAME_BYTES);
  return copy;
}

async function* evenPieces(audio: Exclude<PlaySource, Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of audio) yield piece.subarray(0, piece.length & ~1);
}

const name = process.argv[2] ?? "";
const wrong = CALLS[name];
const state = new State();
if (wrong) {
  state.as = (call) => {
    const other = wrong(call) as Record<PropertyKey, unknown>;
    return new Proxy(call, {
      get(target, key) {
        const found = other[key] ?? Reflect.get(target, key, target);
        return typeof found === "function" && !(key in other) ? found.bind(target) : found;
      },
    });
  };
} else if (!COMMANDS[name]) throw new Error(`there is no wrong agent "${name}"`);
await runProgram({ ...ACTIONS, ...COMMANDS[name] }, state);
