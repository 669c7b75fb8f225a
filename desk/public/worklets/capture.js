// The microphone, on the audio thread: blocks of 20 ms as signed 16 bit at 24 kHz, whatever the rate of the context.
const RATE = 24_000;
const BLOCK = RATE / 50;
/** Half the length of the low pass, in periods of the lower of both rates. */
const HALF = 12;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(BLOCK);
    this.filled = 0;
    this.muted = false;
    /** Input samples per output sample. */
    this.step = sampleRate / RATE;
    this.input = [];
    this.at = 0;
    this.port.onmessage = ({ data }) => {
      if (typeof data.muted === "boolean") this.muted = data.muted;
    };
  }

  process([input]) {
    const samples = input?.[0];
    // A microphone that is gone gives no channels: then silence, so that the rhythm stays.
    const block = samples ?? new Float32Array(128);
    if (this.step === 1) for (let i = 0; i < block.length; i++) this.put(block[i]);
    else this.resample(block);
    return true;
  }

  put(sample) {
    const value = this.muted ? 0 : Math.max(-1, Math.min(1, sample));
    this.block[this.filled++] = Math.round(value * 32_767);
    if (this.filled < BLOCK) return;
    this.port.postMessage(this.block.slice().buffer);
    this.filled = 0;
  }

  /** Windowed sinc; the cut-off is that of the lower rate. */
  resample(block) {
    const { step, input } = this;
    for (const sample of block) input.push(sample);
    const cut = Math.min(1, 1 / step);
    const reach = Math.ceil(HALF / cut);
    while (this.at + reach < input.length) {
      const middle = Math.floor(this.at);
      let sum = 0;
      for (let i = Math.max(0, middle - reach + 1); i <= middle + reach; i++) {
        const x = (i - this.at) * cut;
        const window = 0.5 + 0.5 * Math.cos((Math.PI * (i - this.at)) / reach);
        sum += input[i] * cut * window * (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
      }
      this.put(sum);
      this.at += step;
    }
    const passed = Math.max(0, Math.floor(this.at) - reach);
    if (passed < 1_024) return;
    input.splice(0, passed);
    this.at -= passed;
  }
}

registerProcessor("callweave-capture", Capture);
