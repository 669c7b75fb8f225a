// @ts-check
// A worker thread around flite. Plain JavaScript, because worker threads do not go through the TypeScript loader.
// Receives {id, text, voice}, answers {id, samples, rate} or {id, error}.
import { parentPort } from "node:worker_threads";
import { speak } from "@callweave/flite";

parentPort?.on(
  "message",
  (/** @type {{ id: number, text: string, voice: string }} */ { id, text, voice }) => {
    try {
      const { sampleRateHz, pcm } = speak(text, { voice });
      const samples = new Int16Array(pcm.buffer, 0, pcm.length >> 1);
      parentPort?.postMessage({ id, rate: sampleRateHz, samples }, [samples.buffer]);
    } catch (error) {
      parentPort?.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
    }
  },
);
