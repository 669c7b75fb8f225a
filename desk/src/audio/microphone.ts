import { type Signal, signal } from "@preact/signals";
import { Levels } from "./levels.js";
import { audioContext } from "./speaker.js";

/** Why there is no microphone. */
export type MicrophoneProblem =
  /** Plain HTTP that is not of this machine: browsers give no microphone. */
  | "insecure"
  /** The person, or the browser for the person, said no. */
  | "refused"
  /** There is none. */
  | "missing"
  /** It was unplugged, or taken away, in mid-call. */
  | "lost"
  /** Anything else. */
  | "failed";

/** Thrown when there is no microphone. */
export class MicrophoneError extends Error {
  override readonly name = "MicrophoneError";
  constructor(readonly problem: MicrophoneProblem) {
    super(problem);
  }
}

/** Whether this page may have a microphone at all. */
export function microphoneAllowed(): boolean {
  return window.isSecureContext && navigator.mediaDevices !== undefined;
}

/** The microphone of the person: blocks of 20 ms, 24 kHz, signed 16 bit. */
export class Microphone {
  readonly levels = new Levels();
  readonly muted: Signal<boolean> = signal(false);
  /** Set when it was lost in mid-call. */
  readonly lost = signal(false);
  private closed = false;

  private constructor(
    private readonly stream: MediaStream,
    private readonly source: MediaStreamAudioSourceNode,
    private readonly node: AudioWorkletNode,
    private readonly closeContext: () => void,
    onBlock: (pcm: Uint8Array) => void,
  ) {
    node.port.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      if (this.closed) return;
      this.measure(new Int16Array(data));
      onBlock(new Uint8Array(data));
    };
    for (const track of stream.getAudioTracks())
      track.addEventListener("ended", () => {
        if (!this.closed) this.lost.value = true;
      });
  }

  /** Asks for it. Rejects with MicrophoneError. */
  static async open(onBlock: (pcm: Uint8Array) => void): Promise<Microphone> {
    if (!microphoneAllowed()) throw new MicrophoneError("insecure");
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      });
    } catch (error) {
      throw new MicrophoneError(problemOf(error));
    }
    try {
      const { context, source, close } = await sourceOf(stream);
      const node = new AudioWorkletNode(context, "callweave-capture", {
        numberOfOutputs: 1,
        channelCount: 1,
        channelCountMode: "explicit",
      });
      source.connect(node);
      // Its output is silence; without a way to the loudspeaker some browsers do not run it.
      node.connect(context.destination);
      return new Microphone(stream, source, node, close, onBlock);
    } catch {
      for (const track of stream.getTracks()) track.stop();
      throw new MicrophoneError("failed");
    }
  }

  mute(muted: boolean): void {
    this.muted.value = muted;
    this.node.port.postMessage({ muted });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.source.disconnect();
    this.node.disconnect();
    this.node.port.close();
    for (const track of this.stream.getTracks()) track.stop();
    this.closeContext();
    this.levels.reset();
  }

  private measure(samples: Int16Array): void {
    let square = 0;
    let peak = 0;
    for (const sample of samples) {
      square += sample * sample;
      peak = Math.max(peak, Math.abs(sample));
    }
    this.levels.add(Math.sqrt(square / samples.length) / 32_768, peak / 32_768);
  }
}

/** Browsers that do not bring a microphone to our rate get a context at its own; the worklet then resamples. */
async function sourceOf(stream: MediaStream) {
  const shared = await audioContext();
  try {
    return { context: shared, source: shared.createMediaStreamSource(stream), close: () => {} };
  } catch {
    const own = new AudioContext({ latencyHint: "interactive" });
    await own.audioWorklet.addModule("/worklets/capture.js");
    return { context: own, source: own.createMediaStreamSource(stream), close: () => void own.close() };
  }
}

function problemOf(error: unknown): MicrophoneProblem {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "refused";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "missing";
  return "failed";
}
