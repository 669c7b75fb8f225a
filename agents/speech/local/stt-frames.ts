/** The framing between the agent and `python/stt.py`; described there. */

/** The first byte of a frame to the recogniser. */
export const FRAME_KIND = { START: 1, AUDIO: 2, END: 3, ABORT: 4 } as const;

const HEADER_BYTES = 9;

/** One frame: `<u32le length of what follows><u8 kind><u32le utterance><payload>`. */
export function encodeFrame(
  kind: (typeof FRAME_KIND)[keyof typeof FRAME_KIND],
  utterance: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt32LE(HEADER_BYTES - 4 + payload.length, 0);
  frame.writeUInt8(kind, 4);
  frame.writeUInt32LE(utterance, 5);
  payload.copy(frame, HEADER_BYTES);
  return frame;
}

/** A line that the recogniser printed. */
export type RecogniserLine =
  | { readonly type: "ready"; readonly version: string }
  | { readonly type: "partial"; readonly id: number; readonly text: string }
  | {
      readonly type: "final";
      readonly id: number;
      readonly text: string;
      readonly confidence: number | null;
      readonly audio_ms: number;
      readonly decode_ms: number;
      readonly truncated: boolean;
    }
  | { readonly type: "error"; readonly id: number | null; readonly message: string };

/** Parse one line; undefined when it is not one of ours (a warning of a library, say). */
export function parseLine(line: string): RecogniserLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "type" in value
      ? (value as RecogniserLine)
      : undefined;
  } catch {
    return undefined;
  }
}
