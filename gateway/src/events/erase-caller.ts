import type { CallEvent } from "../call/call-events.js";

/** Finds the calls of a caller that are over, from their events in the order of the store. */
export class CallsOfCaller {
  private readonly found = new Map<string, boolean>();

  constructor(
    private readonly tenant: string,
    private readonly caller: string,
  ) {}

  /** The next event. */
  see({ tenant, callId, body }: Pick<CallEvent, "tenant" | "callId" | "body">): void {
    if (tenant !== this.tenant) return;
    if (body.type === "arrived" && body.call.caller === this.caller) this.found.set(callId, false);
    else if (!this.found.has(callId)) return;
    else if (body.type === "ended") this.found.set(callId, true);
    // It goes on after an end that another gateway wrote for it.
    else if (body.type === "takenOver") this.found.set(callId, false);
  }

  /** Their ids. */
  over(): string[] {
    return [...this.found].filter(([, over]) => over).map(([callId]) => callId);
  }
}
