// An agent that speaks with one endless tone, to be killed or frozen. Prints what happens to it as JSON lines.
// Environment: TEST_AGENT = {"endpoint", "agentId", "hz", "instanceId"?, "turn"?}
import { agent } from "callweave";
import { endlessTone } from "../audio.js";

interface Settings {
  readonly endpoint: string;
  readonly agentId: string;
  readonly hz: number;
  readonly instanceId?: string;
  /** Appended to the context as soon as the call is there. */
  readonly turn?: string;
}

const settings = JSON.parse(process.env.TEST_AGENT ?? "{}") as Settings;
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

const worker = agent(
  {
    endpoint: settings.endpoint,
    agentId: settings.agentId,
    capacity: 10,
    whenHandlerReturns: "keep",
    ...(settings.instanceId ? { instanceId: settings.instanceId } : {}),
    onStatus: (status) =>
      say({
        type: "status",
        status: status.type,
        ...("error" in status ? { reason: status.error.reason } : {}),
      }),
    onError: (error) => say({ type: "error", error: String(error) }),
  },
  async (call) => {
    const turns = call.context?.turns.map(({ text }) => text) ?? [];
    say({ type: "call", callId: call.id, attempt: call.attempt, epoch: call.epoch, turns });
    call.on("ended", (end) => say({ type: "ended", callId: call.id, ...end }));
    void call.play(endlessTone(settings.hz, call.signal)).catch(() => {});
    if (settings.turn) {
      await call.appendTurns([{ role: "CALLER", text: settings.turn }]);
      say({ type: "turnSaved" });
    }
  },
);
worker.run().catch((error) => say({ type: "fatal", error: String(error) }));
worker.start().then(
  () => say({ type: "ready", instanceId: worker.instanceId }),
  () => {},
);
