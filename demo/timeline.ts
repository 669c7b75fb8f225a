import type { CallContext } from "callweave";
import type { GatewayEvent, ProviderEvent } from "./evidence.js";

/** Whose line it is. */
export type Lane = "caller" | "agent" | "specialist" | "event" | "command" | "desk";

/** A line of the timeline. */
export interface TimelineLine {
  /** Since the call was placed, ms. */
  readonly atMs: number;
  readonly lane: Lane;
  readonly text: string;
}

const COLOURS: { readonly [l in Lane]: string } = {
  caller: "\u001b[36m",
  agent: "\u001b[35m",
  specialist: "\u001b[32m",
  event: "\u001b[33m",
  command: "\u001b[34m",
  desk: "\u001b[1m",
};
const RESET = "\u001b[0m";
const DIM = "\u001b[2m";

/** How long a line waits for an earlier one that is told later, ms. */
const ORDER_WAIT_MS = 200;

/** Prints lines as they happen, in the order of their times: coloured on a terminal, plain elsewhere. */
export class TimelinePrinter {
  private waiting: TimelineLine[] = [];
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly write: (text: string) => void,
    private readonly coloured: boolean,
  ) {}

  line(line: TimelineLine): void {
    this.waiting.push(line);
    this.timer ??= setTimeout(() => this.flush(), ORDER_WAIT_MS);
  }

  /** Prints what waits. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const line of this.waiting.splice(0).sort((a, b) => a.atMs - b.atMs)) this.print(line);
  }

  private print({ atMs, lane, text }: TimelineLine): void {
    const time = `${(Math.max(0, atMs) / 1000).toFixed(1).padStart(6)} s`;
    const who = lane.padEnd(10);
    if (this.coloured) this.write(`${DIM}${time}${RESET}  ${COLOURS[lane]}${who}  ${text}${RESET}\n`);
    else this.write(`${time}  ${who}  ${text}\n`);
  }
}

/** The lines of one event of the gateway; none for what is of no interest here. */
export function gatewayLine(event: GatewayEvent): TimelineLine | undefined {
  const at = { atMs: event.atMs };
  const line = (text: string): TimelineLine => ({ ...at, lane: "event", text });
  switch (event.type) {
    case "arrived":
      return line("call arrives: PENDING");
    case "offered":
      return line(`offered to agent ${event.agentId}`);
    case "offerEnded":
      return line(`offer ended: ${event.end}`);
    case "seatChanged":
      if (event.cause === "ACCEPTED") return line("the agent takes the seat");
      return event.cause === "LOST" ? line("the agent is lost") : undefined;
    case "answered":
      return line("ANSWERED");
    case "escalation":
      return line(`escalation: ${ESCALATION_STEP[event.step]}`);
    case "ringing":
      return line(`the specialist's phone rings (at most ${event.ringTimeSeconds} s)`);
    case "connected":
      return line("CONNECTED: caller and specialist");
    case "holdChanged":
      return line(event.holding ? "hold sound on" : "hold sound off");
    case "commandStarted":
      return { ...at, lane: "command", text: `agent: ${event.verb}` };
    case "commandDone":
      if (event.escalation) return line(`escalation ended: ${event.escalation.outcome}`);
      return event.error ? line(`${event.verb} failed: ${event.error.reason}`) : undefined;
    case "ended":
      return line(`DISCONNECTED: ${event.reason}`);
    default:
      return undefined;
  }
}

const ESCALATION_STEP = {
  SAVING: "context saved while the announcement plays",
  CONNECTING: "announcement heard, connecting",
  CONFIRMING: "asks the specialist to accept",
  LEAVING: "the agent leaves",
} as const;

const PROVIDER_LINES: Readonly<Record<string, string>> = {
  "ring.picked_up": "the specialist picks up",
  "ring.unanswered": "nobody picked up",
  "agent.left": "the agent's leg has left the call",
};

/** The line of something that the provider saw. */
export function providerLine({ atMs, direction, type, data }: ProviderEvent): TimelineLine | undefined {
  if (direction === "in" && /^(call|agent)\./.test(type))
    return { atMs, lane: "command", text: `gateway: ${type}` };
  const text = PROVIDER_LINES[type];
  if (text) return { atMs, lane: "event", text };
  if (type !== "state.DISCONNECTED") return undefined;
  const reason = (data as { reason?: string } | null)?.reason ?? "";
  return { atMs, lane: "event", text: `call over for the provider: ${reason.replaceAll("_", " ")}` };
}

/** The line of what somebody on the phone begins to say. */
export function saidLine(atMs: number, lane: "caller" | "specialist", text: string): TimelineLine {
  return { atMs, lane, text: `“${text}”` };
}

/** Lines of the turns of a context that are new since `known` turns. */
export function turnLines(
  context: CallContext,
  known: ReadonlySet<string>,
  toCallMs: (time: Date | undefined) => number,
): Array<TimelineLine & { readonly id: string }> {
  return context.turns.flatMap((turn) => {
    const id = turn.id ?? "";
    if (known.has(id)) return [];
    const atMs = toCallMs(turn.time);
    if (turn.role === "CALLER")
      return [{ id, atMs, lane: "agent" as const, text: `understood: ${turn.text}` }];
    return [{ id, atMs, lane: "agent" as const, text: `“${turn.text}”` }];
  });
}
