import type { SimCall } from "./call.js";
import type { CallDirection, CallOptions } from "./call-types.js";
import type { SimClock } from "./clock.js";
import type { CalleeBehaviour, Script } from "./party/script.js";
import type { SessionCloseReason } from "./plane/messages.js";
import type { Session } from "./plane/sessions.js";
import type { FrameTicker } from "./ticker.js";
import type { Voice } from "./voice/voice.js";

/** What a call needs of the simulator around it. @internal */
export interface CallHost {
  readonly clock: SimClock;
  readonly ticker: FrameTicker;
  readonly voice: Voice;
  /** The call is over for the provider, or for the agent: close its session. */
  closeSession(call: SimCall, reason: SessionCloseReason): void;
  /** The media connection went away while the call lives. */
  mediaLost(call: SimCall): void;
  ended(call: SimCall): void;
}

/** What a call is made of. @internal */
export interface CallSetup {
  readonly id: string;
  readonly session: Session;
  readonly direction: CallDirection;
  readonly from: string;
  readonly to: string;
  readonly seed: number;
  readonly callerScript: Script;
  /** What the phone that `call.connect` rings does, attempt by attempt; the last one repeats. */
  readonly subscriber: readonly CalleeBehaviour[];
  /** Outbound: what the phone of the person called does. */
  readonly remote: CalleeBehaviour;
  /** Outbound: ring the remote party when the agent answers, instead of before `call.in` (assumption A3). */
  readonly remoteRingsOnAnswer: boolean;
  readonly options: CallOptions;
}
