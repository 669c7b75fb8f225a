import { signal } from "@preact/signals";

/**
 * A number that views read to be drawn again: however many changes come, once a frame. In a hidden tab there are no
 * frames; there a timer does.
 */
export class Batched {
  private readonly count = signal(0);
  private waiting = false;

  /** Reading it subscribes. */
  get version(): number {
    return this.count.value;
  }

  /** Something changed. */
  changed(): void {
    if (this.waiting) return;
    this.waiting = true;
    const tell = () => {
      this.waiting = false;
      this.count.value++;
    };
    if (document.hidden) setTimeout(tell, 50);
    else requestAnimationFrame(tell);
  }
}
