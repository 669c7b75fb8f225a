import { statSync } from "node:fs";

/**
 * Looks at files again and again, and tells when one of them is another than before: its time, its length, or, behind a
 * link that was turned to another file, its number. Works where the system tells nobody of changes, as in containers.
 */
export class FileWatch {
  private readonly timer: NodeJS.Timeout;
  private seen: string;

  /** `files` is asked each time, so that it may change. `intervalMs` is at least 1. */
  constructor(
    private readonly files: () => readonly string[],
    intervalMs: number,
    private readonly onChange: () => void,
  ) {
    this.seen = this.look();
    this.timer = setInterval(() => this.compare(), intervalMs);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Told once the files were read: what they are now is known. */
  refresh(): void {
    this.seen = this.look();
  }

  private compare(): void {
    const now = this.look();
    if (now === this.seen) return;
    this.seen = now;
    this.onChange();
  }

  private look(): string {
    return this.files()
      .map((file) => {
        const { mtimeMs, size, ino } = statSync(file, { throwIfNoEntry: false }) ?? {};
        return `${file} ${mtimeMs} ${size} ${ino}`;
      })
      .join("\n");
  }
}
