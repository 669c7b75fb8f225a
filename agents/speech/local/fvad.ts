import createFvad, { type FvadModule } from "@echogarden/fvad-wasm";
import { rms } from "../pcm.js";
import { RECOGNITION_RATE_HZ, type VoiceActivity, type VoiceEvent } from "../ports.js";

/** How sure the detector is to be, and how long. */
export interface FvadOptions {
  /** Frame length in ms: 10, 20 or 30. Default 20. */
  readonly frameMs?: 10 | 20 | 30;
  /** How much the detector prefers silence: 0 (lenient) to 3 (strict). Default 2. */
  readonly mode?: 0 | 1 | 2 | 3;
  /** A frame whose root mean square is below this (0 to 32768) is silence whatever the detector says. Default 150. */
  readonly minLevel?: number;
  /** Voiced audio within the onset window that makes speech, ms. Default 100. */
  readonly onsetMs?: number;
  /** Window for {@link onsetMs}, ms. Default 200. */
  readonly onsetWindowMs?: number;
  /** Silence that ends speech, ms. Longer is kinder to people who pause, shorter answers sooner. Default 700. */
  readonly hangoverMs?: number;
}

let loading: Promise<FvadModule> | undefined;

/** Load the detector (20 KiB of WebAssembly, once per process). */
export async function loadFvad(): Promise<(options?: FvadOptions) => VoiceActivity> {
  loading ??= createFvad();
  const module = await loading;
  return (options = {}) => new FvadVoiceActivity(module, options);
}

/** WebRTC's voice activity detector plus a window for the onset and a hangover for the end. */
class FvadVoiceActivity implements VoiceActivity {
  readonly frameMs: number;
  readonly #module: FvadModule;
  readonly #options: Required<FvadOptions>;
  readonly #samples: number;
  readonly #frame: number;
  #vad: number;
  #speaking = false;
  #window: boolean[] = [];
  #silentMs = 0;

  constructor(module: FvadModule, options: FvadOptions) {
    this.#module = module;
    this.#options = {
      frameMs: options.frameMs ?? 20,
      mode: options.mode ?? 2,
      minLevel: options.minLevel ?? 150,
      onsetMs: options.onsetMs ?? 100,
      onsetWindowMs: options.onsetWindowMs ?? 200,
      hangoverMs: options.hangoverMs ?? 700,
    };
    this.frameMs = this.#options.frameMs;
    this.#samples = (RECOGNITION_RATE_HZ * this.frameMs) / 1000;
    this.#frame = module._malloc(this.#samples * 2);
    this.#vad = module._fvad_new();
    this.#configure();
  }

  get speaking(): boolean {
    return this.#speaking;
  }

  get silentMs(): number {
    return this.#silentMs;
  }

  process(frame: Buffer): VoiceEvent | undefined {
    if (this.#vad === 0) return undefined;
    const voiced = this.#voiced(frame);
    if (this.#speaking) {
      this.#silentMs = voiced ? 0 : this.#silentMs + this.frameMs;
      if (this.#silentMs < this.#options.hangoverMs) return undefined;
      this.#speaking = false;
      this.#window = [];
      return "SPEECH_ENDED";
    }
    this.#window.push(voiced);
    if (this.#window.length * this.frameMs > this.#options.onsetWindowMs) this.#window.shift();
    const voicedMs = this.#window.filter(Boolean).length * this.frameMs;
    if (!voiced || voicedMs < this.#options.onsetMs) return undefined;
    this.#speaking = true;
    this.#silentMs = 0;
    return "SPEECH_STARTED";
  }

  reset(): void {
    this.#speaking = false;
    this.#window = [];
    this.#silentMs = 0;
    if (this.#vad === 0) return;
    this.#module._fvad_reset(this.#vad);
    this.#configure();
  }

  close(): void {
    if (this.#vad === 0) return;
    this.#module._fvad_free(this.#vad);
    this.#module._free(this.#frame);
    this.#vad = 0;
  }

  #configure(): void {
    this.#module._fvad_set_mode(this.#vad, this.#options.mode);
    this.#module._fvad_set_sample_rate(this.#vad, RECOGNITION_RATE_HZ);
  }

  #voiced(frame: Buffer): boolean {
    if (frame.length !== this.#samples * 2) {
      throw new RangeError(`a frame has ${this.#samples * 2} bytes, not ${frame.length}`);
    }
    if (rms(frame) < this.#options.minLevel) return false;
    const at = this.#frame >> 1;
    for (let i = 0; i < this.#samples; i++) this.#module.HEAP16[at + i] = frame.readInt16LE(i * 2);
    return this.#module._fvad_process(this.#vad, this.#frame, this.#samples) === 1;
  }
}
