/** Shows how far a round is: a line that is written over on a terminal; elsewhere one line for each step. */
export class Progress {
  private readonly startMs = performance.now();
  private status: string | undefined;

  constructor(
    private readonly write: (text: string) => void,
    private readonly terminal: boolean,
  ) {}

  /** Something that happened; stays. */
  step(text: string): void {
    this.wipe();
    this.write(`${this.time()}  ${text}\n`);
  }

  /** How things stand; on a terminal only, until the next word. */
  now(text: string): void {
    if (!this.terminal || text === this.status) return;
    this.wipe();
    this.status = text;
    this.write(`       ${text}`);
  }

  private wipe(): void {
    if (this.status === undefined) return;
    this.write("\r\u001b[2K");
    this.status = undefined;
  }

  private time(): string {
    return `${((performance.now() - this.startMs) / 1000).toFixed(1).padStart(5)} s`;
  }
}
