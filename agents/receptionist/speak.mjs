// @ts-check
/**
 * flite as a program, for agents in other languages. Lines of JSON in: {"text": "…", "voice": "slt"}. For each, in order, out:
 * the length of the samples as u32le and the samples, s16le, mono, 16 kHz; the length 0 when the text cannot be spoken.
 * Ends when its standard input ends.
 */
import { createInterface } from "node:readline";
import { speak } from "@callweave/flite";

for await (const line of createInterface({ input: process.stdin })) {
  /** @type {Uint8Array} */
  let pcm = new Uint8Array();
  try {
    const { text, voice = "slt" } = JSON.parse(line);
    pcm = speak(text, { voice }).pcm;
  } catch (error) {
    process.stderr.write(`speak: ${error instanceof Error ? error.message : error}\n`);
  }
  const head = Buffer.alloc(4);
  head.writeUInt32LE(pcm.length);
  process.stdout.write(Buffer.concat([head, pcm]));
}
