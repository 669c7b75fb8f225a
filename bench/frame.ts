/** Samples a second of every call here. */
export const SAMPLE_RATE_HZ = 24_000;
/** Audio of one frame: 20 ms of s16le at 24 kHz. */
export const FRAME_BYTES = 960;
/** How often each call sends a frame, in ms. */
export const FRAME_MS = 20;

const MAGIC = 0x43574246;
const TAIL_AT = FRAME_BYTES - 4;

/** What a frame says about its own way. Times by the machine's monotonic clock, in ms. */
export interface FrameStamp {
  readonly call: number;
  readonly sequence: number;
  readonly sentMs: number;
  /** When the agent got it; 0 on the way there. */
  readonly agentInMs: number;
  /** When the agent gave it away again; 0 on the way there. */
  readonly agentOutMs: number;
}

/** A frame of noise as a template, one byte of channel before it. */
export function frameTemplate(): Buffer {
  const frame = Buffer.alloc(1 + FRAME_BYTES);
  let state = 0x9e3779b9;
  for (let i = 1; i < frame.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    frame[i] = state >>> 24;
  }
  return frame;
}

/** Stamps a frame whose audio begins at `at`, before it is sent. */
export function stampSent(frame: Buffer, at: number, call: number, sequence: number, nowMs: number): void {
  frame.writeUInt32LE(MAGIC, at);
  frame.writeUInt32LE(call, at + 4);
  frame.writeUInt32LE(sequence, at + 8);
  frame.writeDoubleLE(nowMs, at + 12);
  frame.writeDoubleLE(0, at + 20);
  frame.writeDoubleLE(0, at + 28);
  frame.writeUInt32LE(sequence, at + TAIL_AT);
}

/** Stamps a frame at the agent. */
export function stampAgent(pcm: Uint8Array, at: number, inMs: number, outMs: number): void {
  const view = new DataView(pcm.buffer, pcm.byteOffset + at, FRAME_BYTES);
  view.setFloat64(20, inMs, true);
  view.setFloat64(28, outMs, true);
}

/** Reads a stamp; undefined when the bytes are not a whole stamped frame. */
export function readStamp(frame: Buffer, at: number): FrameStamp | undefined {
  if (frame.length < at + FRAME_BYTES || frame.readUInt32LE(at) !== MAGIC) return undefined;
  const sequence = frame.readUInt32LE(at + 8);
  if (frame.readUInt32LE(at + TAIL_AT) !== sequence) return undefined;
  return {
    call: frame.readUInt32LE(at + 4),
    sequence,
    sentMs: frame.readDoubleLE(at + 12),
    agentInMs: frame.readDoubleLE(at + 20),
    agentOutMs: frame.readDoubleLE(at + 28),
  };
}

/** Cuts a stream of audio into frames, whatever pieces it comes in. */
export class FrameCutter {
  private rest: Buffer = Buffer.alloc(0);

  /** Calls `each` with every whole frame: the buffer it is in and where it begins there. */
  push(pcm: Buffer, each: (buffer: Buffer, at: number) => void): void {
    const all = this.rest.length === 0 ? pcm : Buffer.concat([this.rest, pcm]);
    let at = 0;
    for (; at + FRAME_BYTES <= all.length; at += FRAME_BYTES) each(all, at);
    this.rest = at === all.length ? Buffer.alloc(0) : Buffer.from(all.subarray(at));
  }
}
