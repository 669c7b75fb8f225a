import { FileWatch } from "../util/file-watch.js";
import type { Logger } from "../util/logger.js";

/** What a reload needs. */
export interface ReloadParts<C> {
  /** Reads the configuration anew; tells the files that it was read from. Throws when it is wrong. */
  readonly read: (onFile: (file: string) => void) => C;
  /** Takes what can be taken without a restart. */
  readonly apply: (config: C) => Promise<void>;
  /** The files of the first reading. */
  readonly files: readonly string[];
  /** 0: the files are not watched. */
  readonly intervalMs: number;
  readonly logger: Logger;
}

/** Loads credentials anew when told to or when a file changes, one time after the other. */
export class ReloadOnChange<C> {
  private files: readonly string[];
  private readonly watch: FileWatch | undefined;
  private running: Promise<void> | undefined;
  private again = false;

  constructor(private readonly parts: ReloadParts<C>) {
    this.files = parts.files;
    if (parts.intervalMs > 0)
      this.watch = new FileWatch(
        () => this.files,
        parts.intervalMs,
        () => void this.reload("file"),
      );
  }

  /** Reads and applies; never rejects: what cannot be used is logged and the old stays. */
  reload(why: string): Promise<void> {
    if (this.running) {
      this.again = true;
      return this.running;
    }
    this.running = this.work(why).finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  stop(): void {
    this.watch?.stop();
  }

  private async work(why: string): Promise<void> {
    const { logger, read, apply } = this.parts;
    do {
      this.again = false;
      const files: string[] = [];
      try {
        const config = read((file) => files.push(file));
        await apply(config);
        this.files = files;
        this.watch?.refresh();
        logger.info({ why }, "credentials loaded anew");
      } catch (error) {
        const err = error instanceof Error ? error.message : String(error);
        logger.error({ why, err }, "credentials could not be loaded anew; the old ones stay");
      }
    } while (this.again);
  }
}
