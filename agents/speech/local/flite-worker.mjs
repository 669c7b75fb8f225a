// @ts-check
/** Worker thread of {@link ./flite.ts}: one job at a time, text in, PCM out. */
import { parentPort } from "node:worker_threads";
import { speak } from "@callweave/flite";

parentPort?.on("message", (/** @type {{ id: number, text: string, voice: string, rate: number }} */ job) => {
  try {
    const { sampleRateHz, pcm } = speak(job.text, job);
    parentPort?.postMessage({ id: job.id, sampleRateHz, pcm }, [pcm.buffer]);
  } catch (error) {
    parentPort?.postMessage({ id: job.id, error: error instanceof Error ? error.message : String(error) });
  }
});
parentPort?.postMessage({ id: 0 });
