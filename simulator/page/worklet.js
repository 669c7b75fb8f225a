// On the audio thread, at the rate of the call: the microphone in blocks of 20 ms, and the loudspeaker behind a small
// buffer that hides how unevenly a network delivers.

const BLOCK = Math.round(sampleRate / 50);
/** Held before the first sound, and after it ran empty; s. */
const AHEAD = 0.08;
/** More than this waits: the oldest goes; s. */
const MOST = 1;

class Microphone extends AudioWorkletProcessor {
  block = new Int16Array(BLOCK);
  filled = 0;

  process([[samples]]) {
    for (const sample of samples ?? []) {
      this.block[this.filled++] = Math.max(-1, Math.min(1, sample)) * 32_767;
      if (this.filled < BLOCK) continue;
      this.port.postMessage(this.block.buffer, [this.block.buffer]);
      this.block = new Int16Array(BLOCK);
      this.filled = 0;
    }
    return true;
  }
}

class Loudspeaker extends AudioWorkletProcessor {
  queue = [];
  waiting = 0;
  at = 0;
  playing = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      const samples = new Int16Array(data);
      this.queue.push(samples);
      this.waiting += samples.length;
      while (this.waiting > MOST * sampleRate) {
        this.waiting -= this.queue.shift().length - this.at;
        this.at = 0;
      }
    };
  }

  process(_inputs, [[output]]) {
    if (!this.playing) this.playing = this.waiting >= AHEAD * sampleRate;
    if (!this.playing) return true;
    for (let i = 0; i < output.length; i++) {
      const [head] = this.queue;
      if (!head) {
        this.playing = false;
        break;
      }
      output[i] = head[this.at++] / 32_768;
      this.waiting--;
      if (this.at < head.length) continue;
      this.queue.shift();
      this.at = 0;
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
registerProcessor("loudspeaker", Loudspeaker);
