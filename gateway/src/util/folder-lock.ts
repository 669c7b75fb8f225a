import { readFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A folder that is ours until it is released, or until this process ends. */
export interface FolderLock {
  release(): Promise<void>;
}

/** Another process has the folder. */
export class FolderInUse extends Error {
  override readonly name = "FolderInUse";

  constructor(folder: string, pid: number) {
    super(`${folder} is in use by process ${pid}`);
  }
}

const FILE = "owner";

/**
 * Makes a folder this process's own by a file that names it. What a process that is gone left behind is taken over, also
 * when its number was given to another one since (told by its start time, where the system shows it). Within one process
 * a folder may be locked again. Throws FolderInUse. Processes of other machines or containers are not seen.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const file = join(folder, FILE);
  const own = ownerText(process.pid);
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(file, own, { flag: "wx", mode: 0o600 });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST" || attempt === 3) throw error;
    }
    const owner = await readFile(file, "utf8").catch(() => "");
    const pid = Number(owner.split(" ")[0]);
    if (owner === own) break;
    if (pid > 0 && pid !== process.pid && isAlive(pid) && ownerText(pid) === owner)
      throw new FolderInUse(folder, pid);
    await rm(file, { force: true });
  }
  return {
    async release() {
      if ((await readFile(file, "utf8").catch(() => "")) === own) await rm(file, { force: true });
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** The number of a process with what tells it from a later one of the same number. */
function ownerText(pid: number): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may hold spaces; the start time is the 20th field after it.
    const started = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return `${pid} ${boot} ${started}`;
  } catch {
    return `${pid}`;
  }
}
