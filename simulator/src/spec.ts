import type { SimCall } from "./call.js";
import { MALFORMED_MEDIA, type MalformedMedia } from "./faults/call-faults.js";
import { MALFORMED_CONTROL, type MalformedControl } from "./faults/sim-faults.js";
import { type CalleeBehaviour, callee, say, wait } from "./party/script.js";
import type { CommandName } from "./plane/messages.js";
import { COMMANDS } from "./plane/messages.js";
import type { Simulator } from "./simulator.js";

/**
 * Reads a callee from text: `never`, `picks_up[:SECONDS]`, `says[:SECONDS]:TEXT`, `rejects[:SECONDS]`,
 * `voicemail[:SECONDS]`, `hangs_up[:SECONDS]` (right after picking up). Default 2 seconds.
 * @throws Error for anything else
 */
export function parseCallee(text: string): CalleeBehaviour {
  const [kind, first, ...rest] = text.split(":");
  const afterSeconds = first === undefined || first === "" ? 2 : Number(first);
  if (!(afterSeconds >= 0)) throw new Error(`callee "${text}": "${first}" is not a number of seconds`);
  switch (kind) {
    case "never":
      return callee.never();
    case "picks_up":
      return callee.picksUp({ afterSeconds });
    case "says":
      return callee.picksUp({ afterSeconds, script: [wait(0.3), say(rest.join(":"), "rms")] });
    case "rejects":
      return callee.rejects(afterSeconds);
    case "voicemail":
      return callee.voicemail({ afterSeconds });
    case "hangs_up":
      return callee.hangsUpAfterPickUp({ afterSeconds });
    default:
      throw new Error(`unknown callee "${text}"`);
  }
}

/** A fault asked for in text: what to do, and when. */
export interface FaultSpec {
  readonly name: string;
  /** Seconds after the call was placed. */
  readonly atSeconds: number;
  readonly argument: string;
}

const FAULT_NAMES = [
  "drop_control",
  "drop_media",
  "reset_control",
  "reset_media",
  "freeze_control",
  "freeze_media",
  "refuse_control",
  "rate_limit",
  "swallow",
  "delay",
  "fail",
  "duplicate_events",
  "reorder_events",
  "duplicate_control",
  "reorder_control",
  "malformed",
  "malformed_control",
  "stall_credit",
  "flood_audio",
  "late_terminated",
] as const;

/**
 * Reads `NAME[@SECONDS][:ARGUMENT]`, such as `drop_media@5:1011`, `delay:call.connect=2000`,
 * `stall_credit@3:1500`; the names are in docs/simulator.md.
 * @throws Error for an unknown name
 */
export function parseFault(text: string): FaultSpec {
  const match = /^([a-z_]+)(?:@(\d+(?:\.\d+)?))?(?::(.*))?$/.exec(text);
  const name = match?.[1] ?? "";
  if (!match || !(FAULT_NAMES as readonly string[]).includes(name))
    throw new Error(`unknown fault "${text}"; known: ${FAULT_NAMES.join(", ")}`);
  return { name, atSeconds: Number(match[2] ?? 0), argument: match[3] ?? "" };
}

/** Applies a fault to a call (or to the whole simulator) at its time. */
export function scheduleFault(simulator: Simulator, call: SimCall, fault: FaultSpec): void {
  const run = () => applyFault(simulator, call, fault);
  if (fault.atSeconds === 0) run();
  else simulator.clock.setTimeout(run, fault.atSeconds * 1000);
}

function applyFault(simulator: Simulator, call: SimCall, { name, argument }: FaultSpec): void {
  const number = (otherwise: number) => (argument === "" ? otherwise : Number(argument));
  switch (name) {
    case "drop_control":
      simulator.faults.dropControl({ code: number(1011) });
      return;
    case "reset_control":
      simulator.faults.dropControl({ abrupt: true });
      return;
    case "drop_media":
      call.faults.dropMedia({ code: number(1011) });
      return;
    case "reset_media":
      call.faults.dropMedia({ abrupt: true });
      return;
    case "freeze_control":
      simulator.faults.freezeControl(number(5000));
      return;
    case "freeze_media":
      call.faults.freezeMedia(number(5000));
      return;
    case "refuse_control":
      simulator.faults.refuseControl({ forMs: number(5) * 1000 });
      return;
    case "rate_limit":
      simulator.faults.rateLimit({ forMs: number(5) * 1000 });
      return;
    case "swallow":
      call.faults.onCommand({ ...commandOf(argument), swallow: true });
      return;
    case "delay": {
      const [command = "", ms = "2000"] = argument.includes("=") ? argument.split("=") : ["", argument];
      call.faults.onCommand({ ...commandOf(command), delayMs: Number(ms) });
      return;
    }
    case "fail": {
      const [command = "", errorCode = "INTERNAL_ERROR"] = argument.split("=");
      call.faults.onCommand({ ...commandOf(command), errorCode });
      return;
    }
    case "duplicate_events":
      call.faults.duplicateEvents(number(1));
      return;
    case "reorder_events":
      call.faults.reorderEvents(number(2));
      return;
    case "duplicate_control":
      simulator.faults.duplicateControlEvents(number(1));
      return;
    case "reorder_control":
      simulator.faults.reorderControlEvents(number(2));
      return;
    case "malformed":
      if (!(argument in MALFORMED_MEDIA)) throw new Error(`unknown malformed frame "${argument}"`);
      call.faults.sendMalformed(argument as MalformedMedia);
      return;
    case "malformed_control":
      if (!(argument in MALFORMED_CONTROL)) throw new Error(`unknown malformed frame "${argument}"`);
      simulator.faults.sendMalformedControl(argument as MalformedControl);
      return;
    case "stall_credit":
      call.faults.stallCredit(number(1000));
      return;
    case "flood_audio":
      call.faults.floodAudio(number(10_000));
      return;
    case "late_terminated":
      call.faults.delayTerminated(number(2000));
      return;
  }
}

function commandOf(text: string): { command?: CommandName } {
  if (text === "") return {};
  if (!(COMMANDS as readonly string[]).includes(text)) throw new Error(`unknown command "${text}"`);
  return { command: text as CommandName };
}
