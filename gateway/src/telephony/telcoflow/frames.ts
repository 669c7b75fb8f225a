import { KeptView } from "./kept-view.js";

/** Bytes before the audio of a binary frame: one, the channel. */
export const AUDIO_HEADER_BYTES = 1;

/** Where read audio goes. Never written to again: it may be kept. */
export type AudioSink = (channel: number, pcm: Uint8Array) => void;

/** What a binary frame was: audio, audio of an odd length (its last byte is kept), or nothing. */
export type AudioFrameKind = "audio" | "odd" | "short";

/** Of all connections: they read into the same memory. */
const frameView = new KeptView();

/**
 * Reads binary frames (one byte of channel, then s16le) into whole samples. A frame of odd length leaves its last byte
 * for the next frame of the same channel, so that samples never shift. Frames of 0 and 1 byte carry nothing.
 */
export class AudioFrameReader {
  /** The odd byte of each channel; -1 when there is none. Made at the first odd frame. */
  private carried: Int16Array | undefined;

  /**
   * Hands the audio of a frame to the sink: once, or not at all when there is no whole sample. The frame is what is in `bytes`
   * from `start` to `end`, and is needed only until this returns.
   */
  read(bytes: Uint8Array, sink: AudioSink, start = 0, end = bytes.length): AudioFrameKind {
    const pcmBytes = end - start - AUDIO_HEADER_BYTES;
    if (pcmBytes < 1) return "short";
    const channel = bytes[start] as number;
    const from = start + AUDIO_HEADER_BYTES;
    const last = bytes[end - 1] as number;
    const carry = this.carried ? (this.carried[channel] as number) : -1;
    if (carry < 0) {
      const odd = pcmBytes % 2 === 1;
      if (odd) this.keep(channel, last);
      if (pcmBytes > 1) {
        const pcm = Buffer.allocUnsafe(pcmBytes & ~1);
        pcm.set(frameView.of(bytes, from, pcm.length));
        sink(channel, pcm);
      }
      return odd ? "odd" : "audio";
    }
    const pcm = Buffer.allocUnsafe((pcmBytes + 1) & ~1);
    pcm[0] = carry;
    pcm.set(bytes.subarray(from, from + pcm.length - 1), 1);
    this.keep(channel, pcmBytes % 2 === 0 ? last : -1);
    sink(channel, pcm);
    return pcmBytes % 2 === 0 ? "audio" : "odd";
  }

  /** Forgets the kept bytes: the stream begins anew. */
  reset(): void {
    this.carried = undefined;
  }

  private keep(channel: number, byte: number): void {
    this.carried ??= new Int16Array(256).fill(-1);
    this.carried[channel] = byte;
  }
}

let agentFrameBytes = Buffer.alloc(0);

/**
 * A frame for `pcmBytes` of agent audio on channel 0, to be filled from offset 1 on, and longer than that. The same memory
 * every time: whoever sends it makes a copy (ProviderSocket.sendBinary masks it into one).
 */
export function agentFrame(pcmBytes: number): Buffer {
  const bytes = AUDIO_HEADER_BYTES + pcmBytes;
  if (agentFrameBytes.length < bytes) agentFrameBytes = Buffer.alloc(bytes);
  return agentFrameBytes;
}
