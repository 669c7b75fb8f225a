import createSpeex, { type SpeexResamplerModule } from "@echogarden/speex-resampler-wasm";

/** Converts one continuous s16le mono stream from one rate to another. Synchronous. */
export interface Resampler {
  /** Output for this input; a few samples stay inside for the next call. An odd last byte is refused (RangeError). */
  process(pcm: Buffer): Buffer;
  /** Start anew, as if nothing had come before. */
  reset(): void;
  close(): void;
}

/** Options of a {@link Resampler}. */
export interface ResamplerOptions {
  /** 0 (fast) to 10 (best). Default 5: linear phase, about 3 ms of delay from 16 kHz. */
  readonly quality?: number;
}

const MAX_INPUT_SAMPLES = 4_096;

let loading: Promise<SpeexResamplerModule> | undefined;

/** Load the resampler (28 KiB of WebAssembly, once per process). The function it gives makes one per stream. */
export async function loadResampler(): Promise<
  (fromHz: number, toHz: number, options?: ResamplerOptions) => Resampler
> {
  loading ??= createSpeex();
  const module = await loading;
  return (fromHz, toHz, options = {}) =>
    fromHz === toHz ? SAME_RATE : new SpeexResampler(module, fromHz, toHz, options.quality ?? 5);
}

const SAME_RATE: Resampler = { process: (pcm) => pcm, reset() {}, close() {} };

class SpeexResampler implements Resampler {
  readonly #module: SpeexResamplerModule;
  readonly #maxOutputSamples: number;
  readonly #input: number;
  readonly #output: number;
  /** Two counters for the C call: samples taken, samples given. */
  readonly #counts: number;
  #state: number;

  constructor(module: SpeexResamplerModule, fromHz: number, toHz: number, quality: number) {
    this.#module = module;
    this.#maxOutputSamples = Math.ceil((MAX_INPUT_SAMPLES * toHz) / fromHz) + 64;
    this.#input = module._malloc(MAX_INPUT_SAMPLES * 2);
    this.#output = module._malloc(this.#maxOutputSamples * 2);
    this.#counts = module._malloc(8);
    this.#state = module._speex_resampler_init(1, fromHz, toHz, quality, this.#counts);
    if (this.#state === 0) throw new RangeError(`cannot resample ${fromHz} Hz to ${toHz} Hz`);
    module._speex_resampler_skip_zeros(this.#state);
  }

  process(pcm: Buffer): Buffer {
    if (pcm.length % 2 !== 0) throw new RangeError("s16le audio has an even number of bytes");
    const parts: Buffer[] = [];
    for (let at = 0; at < pcm.length; at += MAX_INPUT_SAMPLES * 2) {
      this.#block(pcm.subarray(at, at + MAX_INPUT_SAMPLES * 2), parts);
    }
    return Buffer.concat(parts);
  }

  reset(): void {
    if (this.#state === 0) return;
    this.#module._speex_resampler_reset_mem(this.#state);
    this.#module._speex_resampler_skip_zeros(this.#state);
  }

  close(): void {
    if (this.#state === 0) return;
    this.#module._speex_resampler_destroy(this.#state);
    for (const pointer of [this.#input, this.#output, this.#counts]) this.#module._free(pointer);
    this.#state = 0;
  }

  #block(pcm: Buffer, parts: Buffer[]): void {
    if (this.#state === 0) throw new Error("the resampler is closed");
    const module = this.#module;
    const samples = pcm.length >> 1;
    for (let i = 0; i < samples; i++) module.HEAP16[(this.#input >> 1) + i] = pcm.readInt16LE(i * 2);
    let taken = 0;
    while (taken < samples) {
      module.HEAPU32[this.#counts >> 2] = samples - taken;
      module.HEAPU32[(this.#counts >> 2) + 1] = this.#maxOutputSamples;
      const error = module._speex_resampler_process_int(
        this.#state,
        0,
        this.#input + taken * 2,
        this.#counts,
        this.#output,
        this.#counts + 4,
      );
      if (error !== 0) throw new Error(`resampling failed with ${error}`);
      const used = module.HEAPU32[this.#counts >> 2] ?? 0;
      const made = module.HEAPU32[(this.#counts >> 2) + 1] ?? 0;
      const out = Buffer.alloc(made * 2);
      for (let i = 0; i < made; i++) out.writeInt16LE(module.HEAP16[(this.#output >> 1) + i] ?? 0, i * 2);
      parts.push(out);
      taken += used;
      if (used === 0 && made === 0) return;
    }
  }
}
