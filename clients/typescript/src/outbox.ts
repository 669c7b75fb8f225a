import { type AgentItem, Command, Reattach } from "@callweave/proto";

/** Gives the playback of one call, piece by piece. */
export interface PlaybackSource {
  /** The next item that may be sent now. */
  nextItem(): AgentItem | undefined;
  /** Whether something waits, for later too. */
  readonly hasPlayback: boolean;
}

/** What an outbox needs. */
export interface OutboxPort {
  /** Writes one message; `done` when the stream took it. */
  write(items: AgentItem[], done: () => void): void;
  /** The calls of the stream. */
  sources(): Iterable<PlaybackSource>;
  /** The control queue is full: nothing more can be sent on this stream. */
  overflow(): void;
}

/** Bounds of an outbox. */
export interface OutboxLimits {
  /** Items in a message. */
  readonly maxItems: number;
  /** Bytes of a message. */
  readonly maxBytes: number;
  /** Control items that may wait. */
  readonly maxControlItems: number;
  /** How often waiting audio is looked at. Milliseconds. */
  readonly tickMs: number;
}

/**
 * Merges what is ready together into one message: control first, then the audio of the calls in turn. At most one write
 * in flight; what comes meanwhile waits and merges. One timer for all calls, only while audio waits.
 */
export class Outbox {
  private control: AgentItem[] = [];
  private scheduled: NodeJS.Immediate | undefined;
  private timer: NodeJS.Timeout | undefined;
  private writing = false;
  private closed = false;
  private turn = 0;
  private onIdle: (() => void) | undefined;

  constructor(
    private readonly port: OutboxPort,
    public limits: OutboxLimits,
  ) {}

  /** Queues a control item. */
  send(item: AgentItem): void {
    if (this.closed) return;
    if (this.control.length >= this.limits.maxControlItems) {
      this.close();
      this.port.overflow();
      return;
    }
    this.control.push(item);
    this.kick();
  }

  /** There may be something to send. */
  kick(): void {
    if (this.closed || this.writing || this.scheduled) return;
    this.scheduled = setImmediate(() => {
      this.scheduled = undefined;
      this.flush();
    });
  }

  /** Resolves when all control items are with the stream, or when the time is over. Milliseconds. */
  flushed(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
      this.kick();
      if (this.closed) this.onIdle();
    });
  }

  /** Nothing more is sent. */
  close(): void {
    this.closed = true;
    this.onIdle?.();
    this.control = [];
    if (this.scheduled) clearImmediate(this.scheduled);
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private flush(): void {
    if (this.closed || this.writing) return;
    const items = this.gather();
    if (items.length > 0) {
      this.writing = true;
      this.port.write(items, () => {
        this.writing = false;
        this.flush();
      });
    } else this.armTimer();
    if (!this.writing && this.control.length === 0) this.onIdle?.();
  }

  private gather(): AgentItem[] {
    const { maxItems, maxBytes } = this.limits;
    const items: AgentItem[] = [];
    let bytes = 0;
    let at = 0;
    for (; at < this.control.length && items.length < maxItems; at++) {
      const size = itemBytes(this.control[at]!);
      if (items.length > 0 && bytes + size > maxBytes) break;
      items.push(this.control[at]!);
      bytes += size;
    }
    this.control.splice(0, at);
    if (this.control.length > 0) return items;

    let sources: PlaybackSource[] = [];
    for (const source of this.port.sources()) if (source.hasPlayback) sources.push(source);
    if (sources.length > 1) {
      const start = this.turn++ % sources.length;
      sources = [...sources.slice(start), ...sources.slice(0, start)];
    }
    while (sources.length > 0) {
      const again: PlaybackSource[] = [];
      for (const source of sources) {
        // Room is left for the largest item, so that nothing taken from a queue has to be put back.
        if (items.length >= maxItems || bytes > maxBytes / 2) return items;
        const item = source.nextItem();
        if (!item) continue;
        const size = itemBytes(item);
        if (items.length > 0 && bytes + size > maxBytes) {
          this.control.push(item);
          return items;
        }
        items.push(item);
        bytes += size;
        if (source.hasPlayback) again.push(source);
      }
      sources = again;
    }
    return items;
  }

  /** Audio that waits for its time: looked at again in a moment. */
  private armTimer(): void {
    if (this.timer || this.closed) return;
    for (const source of this.port.sources()) {
      if (!source.hasPlayback) continue;
      this.timer = setTimeout(() => {
        this.timer = undefined;
        this.flush();
      }, this.limits.tickMs);
      return;
    }
  }
}

function itemBytes(item: AgentItem): number {
  switch (item.item?.$case) {
    case "audio":
      return item.item.value.pcm.length + 32;
    case "command":
      return Command.encode(item.item.value).finish().length + 16;
    case "reattach":
      return Reattach.encode(item.item.value).finish().length + 16;
    default:
      return 512;
  }
}
