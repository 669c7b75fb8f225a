import { machineMs } from "../clock.js";
import { Samples, type Spread } from "../figures.js";
import type { FrameStamp } from "../frame.js";
import { Pacer } from "./pacer.js";

/** What the load generator saw in a window. Times in ms. */
export interface WindowReport {
  readonly framesSent: number;
  readonly framesReceived: number;
  /** Sent in the window and not back within the time after it. */
  readonly framesLost: number;
  /** Came again, or after a later frame of its call. */
  readonly outOfOrder: number;
  /** Belonged to another call, or could not be read. */
  readonly corrupt: number;
  /** From sending on the websocket to the agent's hands. */
  readonly upMs: Spread;
  /** From the agent's hands to the websocket. */
  readonly downMs: Spread;
  /** How late the generator itself sent. */
  readonly lateMs: Spread;
}

/** Counts the frames of all calls and times those that were sent in the window. */
export class Traffic {
  readonly pacer = new Pacer((lateMs) => {
    if (this.windowOpen) this.late.add(lateMs);
  });
  private readonly up = new Samples();
  private readonly down = new Samples();
  private readonly late = new Samples();
  private windowOpen = false;
  private startMs = Number.POSITIVE_INFINITY;
  private endMs = Number.POSITIVE_INFINITY;
  private framesSent = 0;
  private outOfOrder = 0;
  private corrupt = 0;

  /** The window begins. */
  open(): void {
    for (const samples of [this.up, this.down, this.late]) samples.clear();
    this.framesSent = 0;
    this.outOfOrder = 0;
    this.corrupt = 0;
    this.startMs = machineMs();
    this.endMs = Number.POSITIVE_INFINITY;
    this.windowOpen = true;
  }

  /** The window is over; frames that were sent in it may still come back. */
  close(): void {
    this.endMs = machineMs();
    this.windowOpen = false;
  }

  report(): WindowReport {
    const upMs = this.up.spread();
    return {
      framesSent: this.framesSent,
      framesReceived: upMs.count,
      framesLost: this.framesSent - upMs.count,
      outOfOrder: this.outOfOrder,
      corrupt: this.corrupt,
      upMs,
      downMs: this.down.spread(),
      lateMs: this.late.spread(),
    };
  }

  sent(): void {
    if (this.windowOpen) this.framesSent++;
  }

  /** A frame is back. */
  back(stamp: FrameStamp, nowMs: number): void {
    if (stamp.sentMs < this.startMs || stamp.sentMs >= this.endMs) return;
    this.up.add(stamp.agentInMs - stamp.sentMs);
    this.down.add(nowMs - stamp.agentOutMs);
  }

  misplaced(kind: "outOfOrder" | "corrupt"): void {
    this[kind]++;
  }
}
