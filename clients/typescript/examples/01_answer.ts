// Answers each call, says a tone of a second and then what the caller said, for ten seconds.
// Run: node --import tsx examples/01_answer.ts   (gateway: CALLWEAVE_ENDPOINT, default 127.0.0.1:7070)
import { agent } from "callweave";

const rate = 16_000;
const tone = Buffer.alloc(rate * 2);
for (let i = 0; i < rate; i++) {
  tone.writeInt16LE(Math.round(8_000 * Math.sin((2 * Math.PI * 440 * i) / rate)), i * 2);
}

const worker = agent(
  { agentId: "hello", capacity: 10, audioFormat: { sampleRateHertz: rate } },
  async (call) => {
    await call.play(tone);
    for await (const chunk of call.audio()) {
      if (chunk.pcm) await call.play(chunk.pcm);
      if (chunk.atMs > 10_000) break;
    }
  },
);
worker.drainOnSignals();
await worker.run();
