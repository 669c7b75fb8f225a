import type { CallEvent } from "../call/call-events.js";

/** The form in which events are published. */
export interface EventWire {
  encode(event: CallEvent): { readonly data: Uint8Array; readonly headers: Readonly<Record<string, string>> };
  /** The tenant is the subject's. Throws Error for what this version cannot read. */
  decode(
    tenant: string,
    message: { readonly data: Uint8Array; readonly headers: Readonly<Record<string, string>> },
  ): CallEvent;
}
