import { readFile } from "node:fs/promises";
import { agent, type Call, CallweaveError, type Worker, type WorkerStatus } from "callweave";
import { echo } from "./audio.js";
import { inBackground, print, told } from "./io.js";
import type { Args, State } from "./program.js";

/** Makes an agent that does what it is told, and registers it. */
export async function start(args: Args, state: State): Promise<object> {
  const { id: _, do: __, decline, handler = "keep", sampleRateHertz, ...more } = args;
  const { caFile, certFile, keyFile, tokenFile, ...options } = more;
  const worker: Worker = agent(
    {
      agentId: "agent",
      ...options,
      ...(sampleRateHertz ? { audioFormat: { sampleRateHertz } } : {}),
      ...(caFile ? { tls: { ca: caFile, cert: certFile, key: keyFile } } : {}),
      ...(tokenFile ? { token: () => readFile(tokenFile, "utf8") } : {}),
      ...(decline ? { accept: () => String(decline) } : {}),
      whenHandlerReturns: "keep",
      onStatus: report,
      onError: (error, call) => print({ event: "error", ...told(error), ...(call ? { call } : {}) }),
    },
    (taken) => {
      const call = state.as(taken);
      state.calls.set(call.id, call);
      follow(call);
      if (handler === "throw" && call.attempt === 1) throw new Error("told to throw");
      if (handler === "echo") inBackground(echo(call), call.id);
    },
  );
  state.worker = worker;
  worker.drainOnSignals(["SIGTERM"]);
  worker.run().then(
    () => state.over(),
    (error) => {
      print({ event: "over", reason: CallweaveError.from(error).reason });
      state.over();
    },
  );
  await worker.start();
  return { instanceId: worker.instanceId };
}

function report(status: WorkerStatus): void {
  if (status.type === "disconnected") {
    print({ event: "status", status: "disconnected", reason: status.error.reason });
  } else if (status.type === "connected" || status.type === "goingAway") {
    print({ event: "status", status: status.type });
  }
}

function follow(call: Call): void {
  const { id, epoch, attempt, state, caller, callee, sampleRateHertz, escalationReason, context } = call;
  call.on("attached", (attached) => print({ event: "attached", call: id, attached }));
  call.on("note", ({ text, author }) => print({ event: "note", call: id, text, author }));
  void call.ended.then((end) => print({ event: "ended", call: id, ...end }));
  print({
    event: "call",
    ...{ call: id, epoch, attempt, state, caller, callee, sampleRateHertz, escalationReason },
    ...(context ? { summary: context.summary, turns: context.turns.length } : {}),
  });
}
