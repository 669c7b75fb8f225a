// @ts-check
/** Worker thread of {@link ./flite.ts}: one job at a time, text in, PCM out. */
import { readFileSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { runWasi } from "./wasi-memory.mjs";

const module = new WebAssembly.Module(readFileSync(workerData.wasmPath));

/**
 * The samples of a WAV file.
 * @param {Buffer} wav
 * @returns {{ sampleRateHz: number, pcm: Uint8Array<ArrayBuffer> }}
 */
function readWav(wav) {
  let sampleRateHz = 16_000;
  for (let at = 12; at + 8 <= wav.length; ) {
    const id = wav.toString("latin1", at, at + 4);
    const size = wav.readUInt32LE(at + 4);
    if (id === "fmt ") sampleRateHz = wav.readUInt32LE(at + 12);
    if (id === "data") {
      // flite leaves the size it guessed when it opened the file; what counts is where the file ends.
      const samples = wav.subarray(at + 8);
      return { sampleRateHz, pcm: new Uint8Array(samples.subarray(0, samples.length & ~1)) };
    }
    at += 8 + size + (size & 1);
  }
  throw new Error("no samples in the synthesiser's output");
}

parentPort?.on("message", (/** @type {{ id: number, text: string, voice: string, rate: number }} */ job) => {
  try {
    const run = runWasi(module, [
      "flite",
      "-voice",
      job.voice,
      "--setf",
      `duration_stretch=${(1 / job.rate).toFixed(3)}`,
      "-t",
      job.text,
      "-o",
      "/o/speech.wav",
    ]);
    const wav = run.files.get("speech.wav");
    if (run.exitCode !== 0 || !wav) throw new Error(`exit ${run.exitCode}: ${run.stderr.slice(0, 200)}`);
    const { sampleRateHz, pcm } = readWav(Buffer.from(wav.buffer, wav.byteOffset, wav.length));
    parentPort?.postMessage({ id: job.id, sampleRateHz, pcm }, [pcm.buffer]);
  } catch (error) {
    parentPort?.postMessage({ id: job.id, error: error instanceof Error ? error.message : String(error) });
  }
});
parentPort?.postMessage({ id: 0 });
