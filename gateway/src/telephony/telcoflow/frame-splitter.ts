/** Where the bytes of a connection go, in their order. `bytes` is valid only until the call returns. */
export interface SplitTarget {
  /** Whether whole binary messages may be taken now: nothing that came before them waits anywhere. */
  takesBinary(): boolean;
  /** The payload of a whole binary message is at `start` to `end`. */
  onBinary(bytes: Buffer, start: number, end: number): void;
  /** Everything else, as it came. */
  onRest(bytes: Buffer): void;
}

/** The answer to the upgrade is looked through so far for its end. Node reads at most 16 kB of headers. */
const MAX_HEAD_BYTES = 65_536;

/** RFC 6455, 5.2: the first byte of a binary message in one frame, without extensions. */
export const WHOLE_BINARY = 0x82;
const RSV_BITS = 0x70;
const CONTINUATION = 0;
const BINARY = 2;
const CLOSE = 8;
const PONG = 10;
const MAX_CONTROL_BYTES = 125;
/** The longest frame header of a server: 2 bytes and a length of 8. */
const MAX_HEADER_BYTES = 10;

/**
 * Finds the whole binary messages in what a WebSocket server sends, so that audio need not pass the layers of streams and events
 * that everything else passes. A message is taken when it is one frame, uncompressed, at most `maxPayloadBytes` and all of it in
 * one piece of what was read; all other bytes are handed on for a complete reader of the protocol: the answer to the
 * upgrade, text, control frames, fragments, and what breaks the protocol, after which nothing is taken any more.
 */
export class FrameSplitter {
  /** "raw": everything is handed on from here. */
  private phase: "head" | "frames" | "raw" = "head";
  private head = "";
  private readonly header = Buffer.allocUnsafe(MAX_HEADER_BYTES);
  /** Bytes of the next frame's header that came with an earlier piece, and were handed on. */
  private headerBytes = 0;
  /** Bytes of a frame that are still to be handed on. */
  private restBytes = 0;
  /** A message of several frames has begun and not ended. */
  private fragmented = false;

  constructor(
    private readonly maxPayloadBytes: number,
    private readonly target: SplitTarget,
  ) {}

  /** Takes the next piece of what was read. */
  push(bytes: Buffer): void {
    const at = this.phase === "head" ? this.readHead(bytes) : 0;
    if (this.phase !== "frames") this.target.onRest(bytes);
    else this.readFrames(bytes, at);
  }

  /** Looks for the end of the answer to the upgrade; answers where frames begin. */
  private readHead(bytes: Buffer): number {
    const before = this.head.length;
    this.head += bytes.toString("latin1");
    for (let from = 0; ; ) {
      const end = this.head.indexOf("\r\n\r\n", from);
      if (end < 0) break;
      // "HTTP/1.1 101 …"; other answers below 200 come before the one that counts.
      const status = this.head.slice(from + 9, from + 12);
      from = end + 4;
      if (status === "101") {
        this.phase = "frames";
        this.head = "";
        return from - before;
      }
      if (!status.startsWith("1")) {
        this.phase = "raw";
        break;
      }
    }
    if (this.head.length > MAX_HEAD_BYTES) this.phase = "raw";
    if (this.phase === "raw") this.head = "";
    return 0;
  }

  private readFrames(bytes: Buffer, begin: number): void {
    const { target } = this;
    /** From here on nothing was handed on yet. */
    let from = 0;
    let at = begin;
    while (at < bytes.length) {
      if (this.restBytes > 0) {
        const n = Math.min(this.restBytes, bytes.length - at);
        this.restBytes -= n;
        at += n;
        continue;
      }
      if (this.headerBytes === 0) {
        const payload = this.wholeBinary(bytes, at);
        if (payload > 0) {
          const end = payload + sizeOf(bytes, at);
          if (from < at) target.onRest(bytes.subarray(from, at));
          from = at;
          if (target.takesBinary()) {
            target.onBinary(bytes, payload, end);
            from = end;
          }
          at = end;
          continue;
        }
      }
      at = this.readHeader(bytes, at);
      if (this.phase === "raw") break;
    }
    if (from < bytes.length) target.onRest(from === 0 ? bytes : bytes.subarray(from));
  }

  /** Where the payload of a whole binary message begins; 0 when there is none at `at`. */
  private wholeBinary(bytes: Buffer, at: number): number {
    if (bytes[at] !== WHOLE_BINARY || this.fragmented || at + 4 > bytes.length) return 0;
    const short = bytes[at + 1] as number;
    // Above 126 are the long length and the mask, which a server must not use.
    if (short > 126) return 0;
    const size = sizeOf(bytes, at);
    const payload = at + (short === 126 ? 4 : 2);
    return size <= this.maxPayloadBytes && payload + size <= bytes.length ? payload : 0;
  }

  /** Reads on in the header of a frame that is handed on; answers where it stopped. */
  private readHeader(bytes: Buffer, from: number): number {
    let at = from;
    const { header } = this;
    while (at < bytes.length) {
      header[this.headerBytes++] = bytes[at++] as number;
      if (this.headerBytes < 2) continue;
      const short = header[1] as number;
      const needed = short === 127 ? 10 : short === 126 ? 4 : 2;
      if (short > 127) {
        this.phase = "raw";
        return at;
      }
      if (this.headerBytes < needed) continue;
      this.headerBytes = 0;
      this.restBytes =
        short === 127 ? Number(header.readBigUInt64BE(2)) : short === 126 ? header.readUInt16BE(2) : short;
      this.frameBegins(header[0] as number, short);
      return at;
    }
    return at;
  }

  /** Nothing is taken behind a close, and behind what breaks the protocol: the complete reader ends the connection there. */
  private frameBegins(first: number, short: number): void {
    const opcode = first & 0x0f;
    const isLast = (first & 0x80) !== 0;
    // RSV bits belong to extensions, of which none was agreed upon.
    const ok =
      opcode > CLOSE
        ? isLast && opcode <= PONG && short <= MAX_CONTROL_BYTES
        : opcode <= BINARY && (opcode === CONTINUATION) === this.fragmented;
    if (!ok || (first & RSV_BITS) !== 0) this.phase = "raw";
    else if (opcode < CLOSE) this.fragmented = !isLast;
  }
}

/** Payload bytes of the frame at `at`, whose length is a short one. */
function sizeOf(bytes: Buffer, at: number): number {
  const short = bytes[at + 1] as number;
  return short === 126 ? ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number) : short;
}
