import type { CallState, CommandFault } from "./call-types.js";
import type { SimClock } from "./clock.js";
import { COMMANDS, type CommandName, type MediaCommand } from "./plane/messages.js";
import { TimerSet } from "./timer-set.js";

/** How a command ended. */
export type CommandOutcome =
  | {
      readonly ok: true;
      readonly result?: unknown;
      /** What happens once the answer is on its way, such as closing the connection. */
      readonly afterwards?: () => void;
    }
  | { readonly ok: false; readonly errorCode: string; readonly errorMessage: string };

/** The call as its commands see it. */
export interface CommandHost {
  readonly state: CallState;
  readonly ringing: boolean;
  readonly agentInCall: boolean;
  /** Answers the call; `done` is called once, with false when an outbound call's remote party does not pick up. */
  answer(done: (answered: boolean) => void): void;
  /** Rings the subscriber; `done` is called once. */
  ring(ringSeconds: number, done: (outcome: "picked_up" | "unanswered" | "ended") => void): void;
  setAgentMode(mode: "barge" | "whisper" | "spy"): void;
  interrupt(): void;
  /** `call.close`. */
  agentLeaves(): void;
  /** `call.disconnect`. */
  agentDisconnects(): void;
  sendResponse(response: Readonly<Record<string, unknown>>): void;
  note(type: string, data: unknown): void;
}

const MAX_REMEMBERED = 1000;
const RACE_GRACE_MS = 100;

/**
 * Executes the commands of one call, in the order they come, and answers each once: with its result, with
 * an error, or with TIMEOUT when `timeout_ms` passes first (the effect may still come: a phone that rings
 * goes on ringing). A repeated `command_id` gets the first answer again.
 */
export class CommandDesk {
  readonly #host: CommandHost;
  readonly #answers = new Map<string, Readonly<Record<string, unknown>> | undefined>();
  readonly #faults: { fault: CommandFault; left: number }[] = [];
  readonly #timers: TimerSet;
  readonly #connectRace: "unanswered" | "timeout";

  /** `connectRace`: which answer wins when the ring time and `timeout_ms` end together. */
  constructor(host: CommandHost, clock: SimClock, connectRace: "unanswered" | "timeout" = "unanswered") {
    this.#host = host;
    this.#timers = new TimerSet(clock);
    this.#connectRace = connectRace;
  }

  /** Registers a fault for commands to come. */
  addFault(fault: CommandFault): void {
    this.#faults.push({ fault, left: fault.count ?? 1 });
  }

  /** Forgets all timers; nothing is answered any more. */
  stop(): void {
    this.#timers.cancelAll();
  }

  /** Executes a command that came from the media connection. */
  execute(command: MediaCommand): void {
    if (this.#answers.has(command.commandId)) {
      const first = this.#answers.get(command.commandId);
      if (first) this.#host.sendResponse(first);
      return;
    }
    this.#remember(command.commandId, undefined);
    const fault = this.#takeFault(command.command);
    if (fault) this.#host.note("fault.command", { command: command.command, ...fault });
    const answer = this.#answerer(command, fault);
    if (fault?.errorCode !== undefined)
      answer({ ok: false, errorCode: fault.errorCode, errorMessage: "fault on demand" });
    else this.#run(command, answer);
  }

  #answerer(command: MediaCommand, fault: CommandFault | undefined): (outcome: CommandOutcome) => void {
    let settled = false;
    // The vendor's SDK gives `call.connect` a timeout equal to its ring time.
    const graceMs =
      command.command === "call.connect" && this.#connectRace === "unanswered" ? RACE_GRACE_MS : 0;
    const timer =
      fault?.swallow || fault?.ignoreTimeout
        ? undefined
        : this.#timers.later(onTimeout, command.timeoutMs + graceMs);
    const desk = this;
    function onTimeout(): void {
      if (settled) return;
      settled = true;
      desk.#send(command, {
        ok: false,
        errorCode: "TIMEOUT",
        errorMessage: `${command.command} did not finish in ${command.timeoutMs} ms`,
      });
    }
    const finish = (outcome: CommandOutcome) => {
      if (!settled) {
        settled = true;
        this.#timers.cancel(timer);
        if (!fault?.swallow) for (let i = 0; i < (fault?.responses ?? 1); i++) this.#send(command, outcome);
      }
      if (outcome.ok) outcome.afterwards?.();
    };
    return (outcome) => {
      if (fault?.delayMs) this.#timers.later(() => finish(outcome), fault.delayMs);
      else finish(outcome);
    };
  }

  #run(command: MediaCommand, answer: (outcome: CommandOutcome) => void): void {
    const host = this.#host;
    const wrongState = () =>
      answer({
        ok: false,
        errorCode: "INVALID_STATE",
        errorMessage: `${command.command} is not allowed in ${host.state}${host.ringing ? " while ringing" : ""}`,
      });
    if (!(COMMANDS as readonly string[]).includes(command.command)) {
      answer({ ok: false, errorCode: "INVALID_COMMAND", errorMessage: `unknown command` });
      return;
    }
    if (host.state === "DISCONNECTED") {
      wrongState();
      return;
    }
    switch (command.command as CommandName) {
      case "call.answer":
        if (host.state !== "PENDING" || host.ringing) {
          wrongState();
          return;
        }
        host.answer((answered) =>
          answer(
            answered
              ? { ok: true }
              : { ok: false, errorCode: "CALL_UNANSWERED", errorMessage: "the remote party did not answer" },
          ),
        );
        return;
      case "call.connect":
        this.#connect(command, answer, wrongState);
        return;
      case "agent.whisper":
      case "agent.barge":
      case "agent.spy":
        if (host.state !== "CONNECTED") {
          wrongState();
          return;
        }
        host.setAgentMode(command.command.slice("agent.".length) as "whisper" | "barge" | "spy");
        answer({ ok: true });
        return;
      case "agent.interrupt":
        if (!host.agentInCall) {
          wrongState();
          return;
        }
        host.interrupt();
        answer({ ok: true });
        return;
      case "call.close":
        answer({ ok: true, afterwards: () => host.agentLeaves() });
        return;
      case "call.disconnect":
        answer({ ok: true, afterwards: () => host.agentDisconnects() });
        return;
    }
  }

  #connect(command: MediaCommand, answer: (outcome: CommandOutcome) => void, wrongState: () => void): void {
    const host = this.#host;
    const ringSeconds = command.data.ringTimeSeconds ?? 60;
    if (
      typeof ringSeconds !== "number" ||
      !Number.isInteger(ringSeconds) ||
      ringSeconds < 1 ||
      ringSeconds > 120
    ) {
      answer({
        ok: false,
        errorCode: "INVALID_REQUEST",
        errorMessage: "ringTimeSeconds is a whole number from 1 to 120",
      });
      return;
    }
    if ((host.state !== "PENDING" && host.state !== "ANSWERED") || host.ringing) {
      wrongState();
      return;
    }
    host.ring(ringSeconds, (outcome) => {
      if (outcome === "picked_up") return answer({ ok: true });
      if (outcome === "unanswered")
        return answer({
          ok: false,
          errorCode: "CALL_UNANSWERED",
          errorMessage: "the destination did not answer",
        });
      answer({ ok: false, errorCode: "CALL_TERMINATED", errorMessage: "the call ended while it rang" });
    });
  }

  #send(command: MediaCommand, outcome: CommandOutcome): void {
    const response = outcome.ok
      ? { command_id: command.commandId, success: true, result: outcome.result ?? null }
      : {
          command_id: command.commandId,
          success: false,
          error_code: outcome.errorCode,
          error_message: outcome.errorMessage,
        };
    this.#remember(command.commandId, response);
    this.#host.sendResponse(response);
  }

  #remember(commandId: string, response: Readonly<Record<string, unknown>> | undefined): void {
    this.#answers.set(commandId, response);
    if (this.#answers.size > MAX_REMEMBERED) {
      const oldest = this.#answers.keys().next().value;
      if (oldest !== undefined) this.#answers.delete(oldest);
    }
  }

  #takeFault(command: string): CommandFault | undefined {
    const index = this.#faults.findIndex(({ fault }) => !fault.command || fault.command === command);
    const entry = this.#faults[index];
    if (!entry) return undefined;
    entry.left -= 1;
    if (entry.left <= 0) this.#faults.splice(index, 1);
    return entry.fault;
  }
}
