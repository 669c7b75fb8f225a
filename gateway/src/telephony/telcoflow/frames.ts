/** Bytes before the audio of a binary frame: one, the channel. */
export const AUDIO_HEADER_BYTES = 1;

/** Where read audio goes. Never written to again: it may be kept. */
export type AudioSink = (channel: number, pcm: Uint8Array) => void;

/** What a binary frame was: audio, audio of an odd length (its last byte is kept), or nothing. */
export type AudioFrameKind = "audio" | "odd" | "short";

/**
 * Reads binary frames (one byte of channel, then s16le) into whole samples. A frame of odd length leaves its last byte
 * for the next frame of the same channel, so that samples never shift. Frames of 0 and 1 byte carry nothing.
 */
export class AudioFrameReader {
  /** The odd byte of each channel; -1 when there is none. Made at the first odd frame. */
  private carried: Int16Array | undefined;

  /** Hands the audio of a frame to the sink: once, or not at all when there is no whole sample. */
  read(frame: Uint8Array, sink: AudioSink): AudioFrameKind {
    if (frame.length <= AUDIO_HEADER_BYTES) return "short";
    const channel = frame[0] as number;
    const bytes = frame.length - AUDIO_HEADER_BYTES;
    const carry = this.carried ? (this.carried[channel] as number) : -1;
    if (carry < 0) {
      if (bytes % 2 === 0) {
        sink(channel, frame.subarray(AUDIO_HEADER_BYTES));
        return "audio";
      }
      this.keep(channel, frame[frame.length - 1] as number);
      if (bytes > 1) sink(channel, frame.subarray(AUDIO_HEADER_BYTES, frame.length - 1));
      return "odd";
    }
    const whole = (bytes + 1) & ~1;
    const target = new Uint8Array(whole);
    target[0] = carry;
    target.set(frame.subarray(AUDIO_HEADER_BYTES, whole), 1);
    this.keep(channel, bytes % 2 === 0 ? (frame[frame.length - 1] as number) : -1);
    sink(channel, target);
    return bytes % 2 === 0 ? "audio" : "odd";
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

/**
 * A frame for `pcmBytes` of agent audio on channel 0, to be filled from offset 1 on. Fresh memory each time, because a
 * socket may hold it after send() returned.
 */
export function newAgentFrame(pcmBytes: number): Buffer {
  const frame = Buffer.allocUnsafe(AUDIO_HEADER_BYTES + pcmBytes);
  frame[0] = 0;
  return frame;
}
