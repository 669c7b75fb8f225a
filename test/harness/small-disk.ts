import { execFileSync } from "node:child_process";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Rig } from "./rig.js";

/** A file system of a few megabytes. */
export interface SmallDisk {
  readonly path: string;
  /** Takes all the room that is left. */
  fill(): void;
  /** Gives it back. */
  empty(): void;
}

/** Why no small file system can be made here; undefined when it can. */
export function noSmallDisk(): string | undefined {
  if (process.platform !== "linux") return "small file systems are made with tmpfs, which is Linux's";
  if (process.getuid?.() === 0 || sudo().length > 0) return undefined;
  return "mounting a tmpfs needs root";
}

/** Mounts a tmpfs of so many MiB for the test. */
export async function smallDisk(rig: Rig, mib: number): Promise<SmallDisk> {
  const path = await rig.folder("callweave-disk-");
  const owner = `uid=${process.getuid?.()},gid=${process.getgid?.()},mode=0700`;
  run("mount", "-t", "tmpfs", "-o", `size=${mib}m,${owner}`, "tmpfs", path);
  // Lazily: what a process that is being ended still has open does not matter.
  rig.defer(() => run("umount", "-l", path));
  const filler = join(path, "filler");
  return {
    path,
    fill() {
      const file = openSync(filler, "a");
      try {
        for (const size of [65_536, 4_096, 1]) {
          for (;;) {
            if (writeSync(file, Buffer.alloc(size)) < size) break;
          }
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      } finally {
        closeSync(file);
      }
    },
    empty: () => rmSync(filler),
  };
}

function run(...command: [string, ...string[]]): void {
  const [program, ...args] = [...(process.getuid?.() === 0 ? [] : sudo()), ...command] as [
    string,
    ...string[],
  ];
  execFileSync(program, args, { stdio: "pipe" });
}

/** What makes a command root's where no password is asked for, as on the machines of CI. */
function sudo(): string[] {
  try {
    execFileSync("sudo", ["-n", "true"], { stdio: "pipe" });
    return ["sudo", "-n"];
  } catch {
    return [];
  }
}
