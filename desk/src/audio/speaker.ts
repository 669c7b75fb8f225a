import { Levels } from "./levels.js";

/** The rate of all audio of the page. */
export const SAMPLE_RATE = 24_000;

let shared: Promise<AudioContext> | undefined;

/** The audio of the page; begins with the first gesture that needs it. */
export function audioContext(): Promise<AudioContext> {
  shared ??= (async () => {
    const context = new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: "interactive" });
    await Promise.all([
      context.audioWorklet.addModule("/worklets/player.js"),
      context.audioWorklet.addModule("/worklets/capture.js"),
    ]);
    return context;
  })().catch((error: unknown) => {
    shared = undefined;
    throw error;
  });
  return shared.then(async (context) => {
    if (context.state === "suspended") await context.resume();
    return context;
  });
}

/** Plays the audio of one call. */
export class Speaker {
  readonly levels = new Levels();
  private closed = false;

  private constructor(private readonly node: AudioWorkletNode) {
    node.port.onmessage = ({ data }: MessageEvent<{ level: number; peak: number }>) =>
      this.levels.add(data.level, data.peak);
  }

  /** Rejects when the browser gives no audio. */
  static async open(): Promise<Speaker> {
    const context = await audioContext();
    const node = new AudioWorkletNode(context, "callweave-player", {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    node.connect(context.destination);
    return new Speaker(node);
  }

  /** Signed 16 bit at 24 kHz. */
  play(pcm: Uint8Array): void {
    if (this.closed) return;
    const copy = pcm.slice(0, pcm.length & ~1).buffer;
    this.node.port.postMessage(copy, [copy]);
  }

  gap(): void {
    this.levels.gap();
  }

  close(): void {
    this.closed = true;
    this.node.disconnect();
    this.node.port.close();
    this.levels.reset();
  }
}
