import type { Actor, CallCommand } from "../../call/call-commands.js";
import type { AgentNotice, ReattachCall, Registration } from "../../dispatch/agent-port.js";

/** Asked by the gateway of an agent: show this session among yours. */
export interface RelayOpen {
  readonly relayId: string;
  readonly actor: Actor;
  readonly registration: Registration;
  readonly takenElsewhere: number;
  readonly load: number;
  readonly draining: boolean;
  /** Set to come back to an earlier relay: its session token and the calls. */
  readonly back?: { readonly sessionToken: string; readonly calls: readonly ReattachCall[] };
}

/** The answer. */
export interface RelayOpened {
  readonly sessionToken: string;
}

/** From the gateway of the agent. */
export type UpMessage =
  | { readonly t: "accept"; readonly offerId: string }
  | { readonly t: "decline"; readonly offerId: string; readonly reason: string }
  | { readonly t: "mark"; readonly handle: number; readonly name: string }
  | { readonly t: "clear"; readonly handle: number }
  | {
      readonly t: "command";
      readonly handle: number;
      readonly requestId: string;
      readonly command: CallCommand;
    }
  | { readonly t: "state"; readonly takenElsewhere: number; readonly load: number }
  | { readonly t: "drain" }
  | { readonly t: "bye" }
  /** The agent has no stream any more. */
  | { readonly t: "lost" };

/** From the gateway of the calls. */
export type DownMessage =
  | { readonly t: "notice"; readonly notice: AgentNotice }
  /** The relay is over; nothing follows. */
  | { readonly t: "end" };
