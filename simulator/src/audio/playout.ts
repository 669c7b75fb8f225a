/** How the provider asks for agent audio. All optional; see the defaults. */
export interface PlayoutOptions {
  /** Capacity of the play-out buffer in ms of audio: credit is given up to this much. Default 1000. */
  readonly playoutBufferMs?: number;
  /** Smallest request in ms of audio. Default 100, at most the capacity. */
  readonly grantMinMs?: number;
  /** Bursts: look at the buffer only this often, in ms. Default 0, which is every 20 ms. */
  readonly grantEveryMs?: number;
  /**
   * Late granting: ask only when what is buffered and asked for has fallen below this many ms; then ask for
   * all the room there is. Default: the capacity, that is as early as possible.
   */
  readonly grantBelowMs?: number;
  /** `prefer_audio_frame_bytes` of each request; 0 leaves the field out. Default: one 20 ms frame. */
  readonly preferFrameBytes?: number;
  /** Audio held at most, in ms; over-delivered audio beyond it is dropped and counted. Default 60000. */
  readonly playoutLimitMs?: number;
}

/** What {@link Playout} has counted. Bytes of s16le. */
export interface PlayoutStats {
  /** Bytes asked for by `buffer_request`. */
  readonly grantedBytes: number;
  /** Number of `buffer_request`s. */
  readonly grants: number;
  /** Bytes the agent sent. */
  readonly deliveredBytes: number;
  /** Binary frames the agent sent. */
  readonly deliveredFrames: number;
  /** Bytes sent beyond all credit at the time they came. */
  readonly overDeliveredBytes: number;
  /** Bytes played out (padding not counted). */
  readonly playedBytes: number;
  /** Bytes thrown away by `agent.interrupt`. */
  readonly interruptedBytes: number;
  /** Bytes thrown away because the hard limit was reached. */
  readonly droppedBytes: number;
  /** Times the buffer ran empty in the middle of audio (it went on within a second). */
  readonly starvations: number;
  /** Length of those holes in ms. */
  readonly starvedMs: number;
}

/** Holes longer than this are pauses of the agent, not starvation. */
const STARVATION_LIMIT_MS = 1000;

/**
 * The provider's play-out buffer for one call's agent audio: credit, bytes in, 20 ms frames out. Knows no
 * socket and no clock; the time is passed in.
 */
export class Playout {
  readonly preferFrameBytes: number;
  readonly #bytesPerMs: number;
  readonly #capacityBytes: number;
  readonly #grantMinBytes: number;
  readonly #grantEveryMs: number;
  readonly #grantBelowBytes: number;
  readonly #hardLimitBytes: number;
  #chunks: Buffer[] = [];
  #headOffset = 0;
  #buffered = 0;
  #outstanding = 0;
  #nextLookMs = Number.NEGATIVE_INFINITY;
  #stalledUntilMs = Number.NEGATIVE_INFINITY;
  #emptyFrames = -1;
  #counts = {
    grantedBytes: 0,
    grants: 0,
    deliveredBytes: 0,
    deliveredFrames: 0,
    overDeliveredBytes: 0,
    playedBytes: 0,
    interruptedBytes: 0,
    droppedBytes: 0,
    starvations: 0,
    starvedMs: 0,
  };

  constructor(sampleRate: number, options: PlayoutOptions = {}) {
    this.#bytesPerMs = (sampleRate * 2) / 1000;
    const bufferMs = options.playoutBufferMs ?? 1000;
    if (!(bufferMs >= 20)) throw new RangeError("playoutBufferMs must be at least 20");
    this.#capacityBytes = Math.round(bufferMs * this.#bytesPerMs);
    this.#grantMinBytes = Math.round(Math.min(options.grantMinMs ?? 100, bufferMs) * this.#bytesPerMs);
    this.#grantEveryMs = options.grantEveryMs ?? 0;
    this.#grantBelowBytes = Math.round((options.grantBelowMs ?? bufferMs) * this.#bytesPerMs);
    this.preferFrameBytes = options.preferFrameBytes ?? 20 * this.#bytesPerMs;
    this.#hardLimitBytes = Math.round((options.playoutLimitMs ?? 60_000) * this.#bytesPerMs);
  }

  /** Bytes buffered for playing. */
  get bufferedBytes(): number {
    return this.#buffered;
  }

  /** Milliseconds of audio buffered for playing. */
  get bufferedMs(): number {
    return this.#buffered / this.#bytesPerMs;
  }

  /** Credit given and not yet used, in bytes. */
  get outstandingBytes(): number {
    return this.#outstanding;
  }

  get stats(): PlayoutStats {
    return { ...this.#counts };
  }

  /** Gives no credit until `untilMs` (a fault). */
  stallUntil(untilMs: number): void {
    this.#stalledUntilMs = untilMs;
  }

  /** Bytes to ask for now; 0 for none. What is returned counts as granted. */
  nextGrant(nowMs: number): number {
    if (nowMs < this.#stalledUntilMs || nowMs < this.#nextLookMs) return 0;
    this.#nextLookMs = nowMs + this.#grantEveryMs;
    const promised = this.#buffered + this.#outstanding;
    const room = this.#capacityBytes - promised;
    if (promised > this.#grantBelowBytes || room < this.#grantMinBytes) return 0;
    const bytes = room - (room % 2);
    this.#outstanding += bytes;
    this.#counts.grantedBytes += bytes;
    this.#counts.grants += 1;
    return bytes;
  }

  /** Credit of a lost media connection is lost with it. */
  forgetCredit(): void {
    this.#outstanding = 0;
    this.#nextLookMs = Number.NEGATIVE_INFINITY;
  }

  /** Takes audio from the agent. The buffer is kept, not copied. */
  deliver(chunk: Buffer): void {
    this.#counts.deliveredBytes += chunk.length;
    this.#counts.deliveredFrames += 1;
    const covered = Math.min(chunk.length, this.#outstanding);
    this.#outstanding -= covered;
    this.#counts.overDeliveredBytes += chunk.length - covered;
    if (this.#buffered + chunk.length > this.#hardLimitBytes) {
      this.#counts.droppedBytes += chunk.length;
      return;
    }
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
  }

  /**
   * Fills `out` with the next frame; a tail shorter than a frame is padded with silence, an odd last byte
   * waits for its other half.
   * @returns samples taken; 0 when there was nothing to play (then `out` is untouched)
   */
  readFrame(out: Int16Array): number {
    const want = Math.min(out.byteLength, this.#buffered - (this.#buffered % 2));
    const frameMs = out.byteLength / this.#bytesPerMs;
    if (want === 0) {
      if (this.#emptyFrames >= 0) this.#emptyFrames += 1;
      return 0;
    }
    if (this.#emptyFrames > 0 && this.#emptyFrames * frameMs <= STARVATION_LIMIT_MS) {
      this.#counts.starvations += 1;
      this.#counts.starvedMs += this.#emptyFrames * frameMs;
    }
    this.#emptyFrames = 0;
    const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
    let done = 0;
    while (done < want) {
      const head = this.#chunks[0] as Buffer;
      const take = Math.min(want - done, head.length - this.#headOffset);
      bytes.set(head.subarray(this.#headOffset, this.#headOffset + take), done);
      done += take;
      this.#headOffset += take;
      if (this.#headOffset === head.length) {
        this.#chunks.shift();
        this.#headOffset = 0;
      }
    }
    this.#buffered -= want;
    this.#counts.playedBytes += want;
    if (want < out.byteLength) out.fill(0, want / 2);
    return want / 2;
  }

  /** Drops what is buffered (`agent.interrupt`); credit already given stays given. Returns the bytes dropped. */
  interrupt(): number {
    const dropped = this.#buffered;
    this.#chunks = [];
    this.#headOffset = 0;
    this.#buffered = 0;
    this.#emptyFrames = -1;
    this.#counts.interruptedBytes += dropped;
    return dropped;
  }
}
