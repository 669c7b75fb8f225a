import { machineMs } from "../clock.js";
import { FRAME_MS } from "../frame.js";

/** Something that sends a frame every 20 ms. */
export interface Paced {
  tick(nowMs: number): void;
}

/**
 * Gives each member a turn every 20 ms, the members spread evenly over twenty slots of 1 ms. Turns that could not be
 * given in time are caught up at once; how late each was is told.
 */
export class Pacer {
  private readonly slots: Set<Paced>[] = Array.from({ length: FRAME_MS }, () => new Set<Paced>());
  private nextMs = machineMs();
  private slot = 0;
  private timer: NodeJS.Timeout | undefined;

  /** `onTurn` is told how late each turn of a member is, in ms. */
  constructor(private readonly onTurn: (lateMs: number) => void) {}

  /** Adds a member; the index chooses its slot. Returns how to remove it. */
  add(index: number, member: Paced): () => void {
    const slot = this.slots[index % FRAME_MS]!;
    slot.add(member);
    if (!this.timer) {
      // Turns from before the first member are nobody's.
      this.nextMs = machineMs();
      this.timer = setTimeout(this.turn, 1);
    }
    return () => slot.delete(member);
  }

  private readonly turn = (): void => {
    for (let nowMs = machineMs(); this.nextMs <= nowMs; nowMs = machineMs()) {
      for (const member of this.slots[this.slot]!) {
        const startMs = machineMs();
        this.onTurn(startMs - this.nextMs);
        member.tick(startMs);
      }
      this.nextMs += 1;
      this.slot = (this.slot + 1) % FRAME_MS;
    }
    this.timer = setTimeout(this.turn, 1);
  };
}
