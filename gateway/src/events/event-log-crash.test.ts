import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openEmbeddedEventLog } from "./embedded-event-log.js";

/** Appends events for ever and writes down the number of each one that was said to be safe. */
const WRITER = `
const [folder, file] = process.argv.slice(1);
const { openEmbeddedEventLog } = await import(file);
const log = await openEmbeddedEventLog(folder);
for (let sequence = 1; ; sequence += 5) {
  const stored = await Promise.all([0, 1, 2, 3, 4].map((i) => log.append({
    tenant: "t", callId: "c-1", pool: "p", sequence: sequence + i, time: new Date(), position: 0, body: { type: "answered" },
  })));
  for (const event of stored) process.stdout.write(event.sequence + " " + event.cursor + "\\n");
}
`;

it("has every event that it said is safe after the process was killed (fault 24)", async () => {
  const folder = await mkdtemp(join(tmpdir(), "crash-"));
  try {
    const file = new URL("./embedded-event-log.ts", import.meta.url).href;
    const args = ["--import", "tsx", "--input-type=module", "-e", WRITER, folder, file];
    const writer = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const gone = new Promise((resolve) => writer.once("close", resolve));
    let out = "";
    writer.stdout.setEncoding("utf8");
    writer.stdout.on("data", (text: string) => {
      out += text;
      if (out.length > 20_000) writer.kill("SIGKILL");
    });
    await gone;
    const safe = out
      .split("\n")
      .slice(0, -1)
      .map((line) => line.split(" "));
    expect(safe.length).toBeGreaterThan(100);

    const log = await openEmbeddedEventLog(folder);
    const found = new Map((await log.ofCall("t", "c-1", 0)).map((e) => [e.sequence, e.cursor]));
    for (const [sequence, cursor] of safe) expect(found.get(Number(sequence))).toBe(cursor);
    expect(
      (await log.append({ ...(await log.ofCall("t", "c-1", 0))[0]!, sequence: 1_000_000 })).durable,
    ).toBe(true);
    await log.close();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
