import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeWav } from "@callweave/simulator";
import type { Evidence } from "./evidence.js";

/** `recordings/2026-01-31T09-30-00` of this moment, in local time. */
export function defaultFolder(now: Date): string {
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000);
  return join("recordings", local.toISOString().slice(0, 19).replaceAll(":", "-"));
}

/** Writes what each party heard, and the picture. Returns the paths by name. */
export async function writeRecordings(
  folder: string,
  evidence: Evidence,
  svg: string,
): Promise<Record<string, string>> {
  await mkdir(folder, { recursive: true });
  const { heard, sampleRateHz: sampleRate } = evidence;
  const tracks = { caller: heard.caller, specialist: heard.specialist, agent: heard.agent };
  const paths: Record<string, string> = {};
  for (const [name, samples] of Object.entries(tracks)) {
    paths[name] = join(folder, `${name}.wav`);
    await writeWav(paths[name], { sampleRate, samples });
  }
  paths.picture = join(folder, "call.svg");
  await writeFile(paths.picture, svg);
  return paths;
}
