import type { Script, SimCall } from "@callweave/simulator";
import type { CallContext } from "callweave";
import { HoldSound } from "../gateway/src/audio/hold-audio.js";
import { bytesToSamples } from "../gateway/src/audio/pcm.js";
import type { Evidence, GatewayEvent, ProviderEvent } from "./evidence.js";
import type { Variant } from "./options.js";
import { CALLER_NUMBER, type Scenario } from "./scenario.js";
import type { DemoStack } from "./stack.js";
import { gatewayLine, providerLine, saidLine, type TimelineLine, turnLines } from "./timeline.js";

/** How often the record of the provider is looked at for the timeline, ms. */
const LOOK_EVERY_MS = 50;

/** The caller hangs up when nobody has answered after so long. */
const PATIENCE_SECONDS = 30;

/** Limits of one play. */
export interface PlayOptions {
  /** The whole call may take so long, ms. Default 120 000. */
  readonly callTimeoutMs?: number;
  readonly onLine: (line: TimelineLine) => void;
  readonly speechToText: Evidence["speechToText"];
  readonly variant: Variant;
}

/**
 * Places the call, follows it to its end, and gathers what the provider and the gateway's API tell of it.
 * @param setCall told of the call at once: the scripts look at it
 */
export async function playCall(
  stack: DemoStack,
  scenario: Scenario,
  setCall: (call: SimCall) => void,
  options: PlayOptions,
): Promise<Evidence> {
  const watch = await watchGateway(stack, options.onLine);
  const placedAt = Date.now();
  watch.placedAt = placedAt;
  const call = stack.simulator.placeCall({
    from: CALLER_NUMBER,
    caller: scenario.callerScript,
    callee: scenario.callee,
    patienceSeconds: PATIENCE_SECONDS,
  });
  setCall(call);
  const follower = followProvider(call, scenario, options.onLine);
  const turns = followContext(stack, call.id, watch.toCallMs, options.onLine);
  try {
    await call.waitFor("DISCONNECTED", options.callTimeoutMs ?? 120_000);
  } catch (error) {
    call.forceClose();
    options.onLine({ atMs: Date.now() - placedAt, lane: "event", text: `given up: ${String(error)}` });
  } finally {
    follower.stop();
  }
  await watch.ended(10_000);
  // The agent writes its last words before it exits.
  await stack.stopAgent();
  const context = await stack.client.contexts.get(call.id).catch(() => undefined);
  await turns.stop(context);
  const contextWhileRinging = await watch.stop();
  return evidenceOf(call, options, watch.events, context, contextWhileRinging);
}

function evidenceOf(
  call: SimCall,
  { variant, speechToText }: PlayOptions,
  gatewayEvents: readonly GatewayEvent[],
  context: CallContext | undefined,
  contextWhileRinging: Evidence["contextWhileRinging"],
): Evidence {
  const { recording } = call;
  return {
    variant,
    callId: call.id,
    speechToText,
    sampleRateHz: recording.sampleRate || 16_000,
    durationMs: recording.durationMs,
    heard: { caller: recording.caller, specialist: recording.callee, agent: recording.agent },
    said: {
      caller: recording.track("callerSays"),
      specialist: recording.track("calleeSays"),
      agent: recording.agentSays,
    },
    holdSound: bytesToSamples(HoldSound.generated().loop(recording.sampleRate || 16_000)),
    agentAtSpecialist: recording.agentSpansAt("callee"),
    providerEvents: call.events.map(toProviderEvent),
    providerEnd: call.endReason,
    gatewayEvents,
    context,
    contextWhileRinging,
  };
}

function toProviderEvent({ callMs, direction, type, data }: SimCall["events"][number]): ProviderEvent {
  return { atMs: callMs, direction, type, data };
}

/** Watches the gateway's API, as a desk does. */
async function watchGateway(stack: DemoStack, onLine: PlayOptions["onLine"]) {
  const { client } = stack;
  const abort = new AbortController();
  const events: GatewayEvent[] = [];
  let ringingContext: Promise<Evidence["contextWhileRinging"]> | undefined;
  let over: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    over = resolve;
  });
  let live: () => void = () => {};
  const isLive = new Promise<void>((resolve) => {
    live = resolve;
  });
  const watch = {
    events,
    placedAt: Date.now(),
    toCallMs: (time: Date | undefined) => (time?.getTime() ?? watch.placedAt) - watch.placedAt,
    /** Resolves when the gateway says that the call ended, or after `timeoutMs`. */
    async ended(timeoutMs: number): Promise<void> {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, timeoutMs);
      });
      await Promise.race([ended, late]);
      clearTimeout(timer);
    },
    async stop(): Promise<Evidence["contextWhileRinging"]> {
      const context = await ringingContext;
      abort.abort();
      await reading;
      return context;
    },
  };
  /** The ringing phone shows a number, not a call id. */
  const readAtDesk = async (): Promise<Evidence["contextWhileRinging"]> => {
    const [context] = await client.contexts.find({ caller: CALLER_NUMBER }).catch(() => []);
    return context && { atMs: Date.now() - watch.placedAt, context };
  };
  const reading = (async () => {
    for await (const item of client.calls.watch({ signal: abort.signal })) {
      if (item.type === "live") {
        live();
        continue;
      }
      const event = { ...item.event, atMs: watch.toCallMs(item.event.time) };
      events.push(event);
      const line = gatewayLine(event);
      if (line) onLine(line);
      if (event.type === "ringing") ringingContext ??= readAtDesk();
      if (event.type === "ended") over();
    }
  })().catch((error: unknown) => {
    if (!abort.signal.aborted) onLine({ atMs: 0, lane: "event", text: `watch failed: ${String(error)}` });
  });
  await Promise.race([isLive, reading]);
  return watch;
}

/** Lines from the provider's record: who begins to say what, commands, ringing. */
function followProvider(call: SimCall, scenario: Scenario, onLine: PlayOptions["onLine"]) {
  let next = 0;
  const scripts: Record<string, Script> = {
    caller: scenario.callerScript,
    callee: scenario.callee.kind === "picksUp" ? scenario.callee.script : [],
  };
  const look = () => {
    const { events } = call;
    for (; next < events.length; next++) {
      const event = events[next];
      if (!event) continue;
      const line = providerLine(toProviderEvent(event));
      if (line) onLine(line);
      const said = saidBy(event.data, scripts);
      if (said) onLine(saidLine(event.callMs, said.lane, said.text));
    }
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  return {
    stop() {
      clearInterval(timer);
      look();
    },
  };
}

function saidBy(data: unknown, scripts: Record<string, Script>) {
  const { party = "", what = "" } = (data ?? {}) as { party?: string; what?: string };
  const index = /^script\.step (\d+): say$/.exec(what)?.[1];
  const step = index === undefined ? undefined : scripts[party]?.[Number(index)];
  if (step?.do !== "say") return undefined;
  return { lane: party === "caller" ? ("caller" as const) : ("specialist" as const), text: step.text };
}

/** Lines from the context as it grows. */
function followContext(
  stack: DemoStack,
  callId: string,
  toCallMs: (time: Date | undefined) => number,
  onLine: PlayOptions["onLine"],
) {
  const abort = new AbortController();
  const known = new Set<string>();
  const show = (context: CallContext) => {
    for (const line of turnLines(context, known, toCallMs)) {
      known.add(line.id);
      onLine(line);
    }
  };
  const reading = (async () => {
    for await (const _written of stack.client.contexts.watch({ callId, signal: abort.signal })) {
      show(await stack.client.contexts.get(callId));
    }
  })().catch(() => {}); // a view only: what counts is read at the end
  return {
    async stop(last: CallContext | undefined): Promise<void> {
      abort.abort();
      await reading;
      if (last) show(last);
    },
  };
}
