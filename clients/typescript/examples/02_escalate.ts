// Says an announcement, then hands the caller to a human; if nobody is there, says so and ends the call.
// Run: node --import tsx examples/02_escalate.ts announcement.raw nobody.raw   (s16le, mono, 16 kHz, without header)
import { readFile } from "node:fs/promises";
import { agent } from "callweave";

const [announcementFile, nobodyFile] = process.argv.slice(2);
if (!announcementFile || !nobodyFile) throw new Error("usage: 02_escalate.ts announcement.raw nobody.raw");
const announcement = await readFile(announcementFile);
const nobody = await readFile(nobodyFile);

const worker = agent({ agentId: "escalation", audioFormat: { sampleRateHertz: 16_000 } }, async (call) => {
  call.on("event", (event) => console.log(event.sequence, event.type));
  await call.appendTurns([{ role: "AI", text: "I connect you with a colleague." }]);
  await call.play(announcement);
  // One command: the context is saved while the announcement plays, then the callee rings, then the agent leaves.
  const { outcome } = await call.escalate({
    reason: "ASKED_FOR_HUMAN",
    summary: "The caller asked for a person.",
    target: { callee: { ringTimeSeconds: 30 } },
    signal: call.signal,
  });
  if (outcome === "CONNECTED" || outcome === "CALLER_LEFT") return;
  // Not connected: the agent still has the call, and the context says so.
  await call.play(nobody);
  await call.disconnect({ after: "drained" });
});
worker.drainOnSignals();
await worker.run();
