/** Types of the WebAssembly packages, which ship none. Only what is used here. */
declare module "@echogarden/fvad-wasm" {
  export interface FvadModule {
    readonly HEAP16: Int16Array;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    _fvad_new(): number;
    _fvad_free(vad: number): void;
    _fvad_reset(vad: number): void;
    _fvad_set_mode(vad: number, mode: number): number;
    _fvad_set_sample_rate(vad: number, rate: number): number;
    _fvad_process(vad: number, frame: number, samples: number): number;
  }
  const create: () => Promise<FvadModule>;
  export default create;
}

declare module "@echogarden/speex-resampler-wasm" {
  export interface SpeexResamplerModule {
    readonly HEAP16: Int16Array;
    readonly HEAPU32: Uint32Array;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    _speex_resampler_init(
      channels: number,
      inRate: number,
      outRate: number,
      quality: number,
      error: number,
    ): number;
    _speex_resampler_destroy(state: number): void;
    _speex_resampler_reset_mem(state: number): number;
    _speex_resampler_skip_zeros(state: number): number;
    _speex_resampler_process_int(
      state: number,
      channel: number,
      input: number,
      inputSamples: number,
      output: number,
      outputSamples: number,
    ): number;
  }
  const create: () => Promise<SpeexResamplerModule>;
  export default create;
}
