// What is heard of a call, on the audio thread: a jitter buffer. It begins to play with `startMs` in hand, wants more in
// hand after each time it ran empty, and skips the oldest when too much has come at once.
const START_MS = 80;
const MOST_START_MS = 320;
const MAX_MS = 1_000;
/** How often the page is told what plays, in blocks of 128 samples. */
const TELL_EVERY = 8;

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunks = [];
    this.offset = 0;
    this.queued = 0;
    this.playing = false;
    this.startMs = START_MS;
    this.emptied = 0;
    this.skipped = 0;
    this.blocks = 0;
    this.peak = 0;
    this.square = 0;
    this.port.onmessage = ({ data }) => {
      if (data === "clear") this.clear();
      else this.push(new Int16Array(data));
    };
  }

  samples(ms) {
    return Math.round((ms * sampleRate) / 1_000);
  }

  clear() {
    this.chunks = [];
    this.offset = 0;
    this.queued = 0;
    this.playing = false;
  }

  push(chunk) {
    this.chunks.push(chunk);
    this.queued += chunk.length;
    if (this.queued <= this.samples(MAX_MS)) return;
    while (this.queued > this.samples(this.startMs) && this.chunks.length > 1) {
      const dropped = this.chunks.shift().length - this.offset;
      this.offset = 0;
      this.queued -= dropped;
      this.skipped += dropped;
    }
  }

  process(_inputs, [output]) {
    const out = output[0];
    if (!this.playing && this.queued >= this.samples(this.startMs)) this.playing = true;
    if (this.playing) this.play(out);
    for (const sample of out) {
      this.peak = Math.max(this.peak, Math.abs(sample));
      this.square += sample * sample;
    }
    if (++this.blocks % TELL_EVERY === 0) this.tell(out.length);
    return true;
  }

  play(out) {
    for (let i = 0; i < out.length; i++) {
      const chunk = this.chunks[0];
      if (!chunk) {
        // Ran empty: a little more in hand the next time.
        this.playing = false;
        this.emptied++;
        this.startMs = Math.min(MOST_START_MS, this.startMs * 1.5);
        return;
      }
      out[i] = chunk[this.offset++] / 32_768;
      this.queued--;
      if (this.offset < chunk.length) continue;
      this.chunks.shift();
      this.offset = 0;
    }
  }

  tell(length) {
    const level = Math.sqrt(this.square / (length * TELL_EVERY));
    const queuedMs = (this.queued * 1_000) / sampleRate;
    this.port.postMessage({ level, peak: this.peak, queuedMs, emptied: this.emptied, skipped: this.skipped });
    this.peak = 0;
    this.square = 0;
  }
}

registerProcessor("callweave-player", Player);
