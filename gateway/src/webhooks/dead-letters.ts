import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** A delivery that was given up. It holds no words and no numbers: what is sent again is read from the event log. */
export interface DeadLetter {
  /** Of the delivery. */
  readonly id: string;
  readonly tenant: string;
  readonly webhook: string;
  readonly callId: string;
  readonly sequence: number;
  /** The name of the event. */
  readonly type: string;
  readonly eventTime: string;
  readonly deadTime: string;
  readonly attempts: number;
  /** A status or a code. */
  readonly error: string;
}

const ID = /^[A-Za-z0-9_-]{22}$/;

/** The folder of webhooks in a state folder. */
export function webhooksFolder(stateDir: string): string {
  return join(stateDir, "webhooks");
}

/**
 * Dead letters as files in the state folder of the gateway that gave them up: `dead/<id>.json`, moved to `resend/` by
 * whoever wants them sent again. So a command can look at them, and ask for them, while the gateway runs.
 */
export class DeadLetters {
  private readonly dead: string;
  private readonly wanted: string;
  /** Ids by webhook, oldest first; what the folder had when it was looked at last. */
  private readonly known = new Map<string, Set<string>>();

  constructor(folder: string) {
    this.dead = join(folder, "dead");
    this.wanted = join(folder, "resend");
  }

  /** Makes the folders and looks what is there. */
  async open(): Promise<void> {
    await mkdir(this.dead, { recursive: true, mode: 0o700 });
    await mkdir(this.wanted, { recursive: true, mode: 0o700 });
    for (const letter of await this.list()) this.idsOf(letter).add(letter.id);
  }

  /** How many there are of a webhook, as of the last look. */
  count(tenant: string, webhook: string): number {
    return this.idsOf({ tenant, webhook }).size;
  }

  /** Looks again: somebody may have taken some away. */
  async refresh(): Promise<void> {
    // What is added meanwhile is not in the list of names.
    const before = [...this.known.values()].map((ids) => ({ ids, seen: [...ids] }));
    const names = new Set(await readdir(this.dead));
    for (const { ids, seen } of before) for (const id of seen) if (!names.has(`${id}.json`)) ids.delete(id);
  }

  /** Keeps one more; with more than `max` of the webhook the oldest goes. Answers whether one went. */
  async add(letter: DeadLetter, max: number): Promise<boolean> {
    await write(join(this.dead, `${letter.id}.json`), letter);
    const ids = this.idsOf(letter);
    ids.add(letter.id);
    if (ids.size <= max) return false;
    const [oldest] = ids;
    ids.delete(oldest as string);
    await rm(join(this.dead, `${oldest}.json`), { force: true });
    return true;
  }

  private idsOf({ tenant, webhook }: Pick<DeadLetter, "tenant" | "webhook">): Set<string> {
    const key = `${tenant}/${webhook}`;
    const ids = this.known.get(key) ?? new Set();
    this.known.set(key, ids);
    return ids;
  }

  /** Those that are kept, oldest first. */
  list(): Promise<DeadLetter[]> {
    return lettersIn(this.dead);
  }

  /** Those that somebody wants sent again. */
  requested(): Promise<DeadLetter[]> {
    return lettersIn(this.wanted);
  }

  /** Wants it sent again; false when there is none of that id. */
  async request(id: string): Promise<boolean> {
    if (!ID.test(id)) return false;
    await mkdir(this.wanted, { recursive: true, mode: 0o700 });
    return rename(join(this.dead, `${id}.json`), join(this.wanted, `${id}.json`)).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return false;
        throw error;
      },
    );
  }

  /** One that was wanted was sent, or is dead again. */
  async done(letter: DeadLetter, deadAgain: DeadLetter | undefined): Promise<void> {
    if (deadAgain) await this.add(deadAgain, Number.POSITIVE_INFINITY);
    await rm(join(this.wanted, `${letter.id}.json`), { force: true });
  }
}

async function lettersIn(folder: string): Promise<DeadLetter[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const found: DeadLetter[] = [];
  for (const name of names) {
    if (!ID.test(name.replace(/\.json$/, "")) || !name.endsWith(".json")) continue;
    try {
      found.push(JSON.parse(await readFile(join(folder, name), "utf8")) as DeadLetter);
    } catch {
      // Taken away meanwhile, or half a file of a full disk: it is none.
    }
  }
  return found.sort((a, b) => a.deadTime.localeCompare(b.deadTime));
}

async function write(file: string, letter: DeadLetter): Promise<void> {
  const fresh = `${file}.new`;
  const handle = await open(fresh, "w", 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(letter)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
}
