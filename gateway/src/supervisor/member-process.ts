import { type ChildProcess, spawn } from "node:child_process";
import type { Member, MemberNews, MemberPorts } from "./supervisor.js";

/** What the process of a gateway says to its supervisor. */
interface ServingMessage {
  readonly serving: MemberPorts;
}

/** The option by which this program knows that it is the n-th gateway of a supervisor. */
export const MEMBER_OPTION = "--member";

/** How the processes of gateways are started. */
export interface MemberCommand {
  /** Arguments of this program, as it was started itself. */
  readonly args: readonly string[];
  /** The name that ids are made from. */
  readonly id: string;
}

/**
 * Starts this program once more as the n-th gateway. What it prints goes where this process prints. It is in a group of
 * its own, so that Ctrl-C reaches it by its supervisor alone, and drains when the supervisor is gone.
 */
export function startMember({ args, id }: MemberCommand, number: number, news: MemberNews): Member {
  const { CALLWEAVE_GATEWAY_ID_FILE: _, ...env } = process.env;
  const [program = "", script = ""] = process.argv;
  const child = spawn(program, [...process.execArgv, script, ...args, MEMBER_OPTION, String(number)], {
    env: { ...env, CALLWEAVE_GATEWAY_ID: id },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    detached: true,
  });
  tell(child, news);
  return {
    pid: child.pid,
    signal: (signal) => void child.kill(signal),
  };
}

function tell(child: ChildProcess, news: MemberNews): void {
  let over = false;
  const end = (code: number | null, signal: string | null) => {
    if (over) return;
    over = true;
    news.onEnd({ code, signal });
  };
  child.on("message", (message) => {
    if (!over && isServing(message)) news.onServing(message.serving);
  });
  child.once("error", () => {
    if (child.pid === undefined) end(null, null);
  });
  child.once("exit", end);
}

function isServing(message: unknown): message is ServingMessage {
  return typeof message === "object" && message !== null && "serving" in message;
}

/** Called by a gateway that serves. Nothing happens without a supervisor. */
export function tellServing(ports: MemberPorts): void {
  const message: ServingMessage = { serving: ports };
  // It may just have gone; that is seen by "disconnect".
  if (process.connected) process.send?.(message, () => {});
}

/** Calls back when the supervisor is gone. */
export function onSupervisorGone(gone: () => void): void {
  process.once("disconnect", gone);
}
