/** Sends messages in one write; `done` once they have left or never will. */
type Write = (messages: readonly Uint8Array[], done: (error?: Error | null) => void) => void;

/**
 * The sending side of a watch: what comes in one turn goes out in one write, since it is writes that a watcher costs. One write is on
 * its way at a time; meanwhile so many bytes may wait as are asked for at once, then the source has to.
 */
export class WatchWriter {
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private armed = false;
  private inFlight = false;
  private closed = false;
  private onRoom = () => {};

  /** `maxBytes`: what may wait before `add` answers false. `schedule` runs a function soon, never at once. Default: setImmediate. */
  constructor(
    private readonly write: Write,
    private readonly maxBytes: number,
    private readonly schedule: (fn: () => void) => void = setImmediate,
  ) {}

  /** The stream is gone or has been finished: nothing is taken any more. */
  get isClosed(): boolean {
    return this.closed;
  }

  /** Takes a message; false: no more may be added before `room` resolves. */
  add(message: Uint8Array): boolean {
    if (this.closed) return true;
    this.waiting.push(message);
    this.waitingBytes += message.length;
    if (!this.armed && !this.inFlight) {
      this.armed = true;
      this.schedule(this.onTurn);
    }
    return this.waitingBytes < this.maxBytes;
  }

  /** Resolves when there is room for a message, or the writer is closed. */
  room(): Promise<void> {
    if (this.closed || this.waitingBytes < this.maxBytes) return Promise.resolve();
    return new Promise((resolve) => {
      this.onRoom = resolve;
    });
  }

  /** Sends what waits, and takes nothing any more. */
  finish(): void {
    this.send();
    this.close();
  }

  /** The stream is gone: what waits is dropped. */
  close(): void {
    this.closed = true;
    this.waiting = [];
    this.waitingBytes = 0;
    this.onRoom();
  }

  private readonly onTurn = (): void => {
    this.armed = false;
    if (!this.inFlight) this.send();
  };

  private readonly onWritten = (error?: Error | null): void => {
    this.inFlight = false;
    if (error) this.close();
    else this.send();
  };

  private send(): void {
    if (this.waiting.length === 0) return;
    const messages = this.waiting;
    this.waiting = [];
    this.waitingBytes = 0;
    this.inFlight = true;
    this.write(messages, this.onWritten);
    this.onRoom();
  }
}
