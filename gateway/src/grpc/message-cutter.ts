/** Compressed flag and length before each message of gRPC (gRPC over HTTP/2, "Length-Prefixed-Message"). */
export const PREFIX_BYTES = 5;

/** A message: what is from `from` to `to` of `bytes`. Answers false to stop. */
export type EachMessage = (bytes: Buffer, from: number, to: number) => boolean;

/**
 * Cuts the bytes of a gRPC stream into its messages, which are told as parts of what came in, without a copy or a view. A
 * message that is compressed or larger than `maxMessageBytes` is not cut: it and all behind it are handed back.
 */
export class MessageCutter {
  private pieces: Buffer[] = [];
  private waitingBytes = 0;
  /** Bytes with which the waiting pieces are worth a look again. */
  private neededBytes = PREFIX_BYTES;

  /** `maxMessageBytes` -1: any size. */
  constructor(private readonly maxMessageBytes: number) {}

  /** Bytes that wait for the rest of their message; at most a message and a chunk. */
  get waiting(): number {
    return this.waitingBytes;
  }

  /**
   * Hands each message that is whole to `each`, in order, until that answers false. Answers what it does not cut, from a
   * message's prefix on; undefined when all was cut or waits for more.
   */
  cut(chunk: Buffer, each: EachMessage): Buffer | undefined {
    const bytes = this.joined(chunk);
    if (!bytes) return undefined;
    let at = 0;
    let needed = PREFIX_BYTES;
    while (bytes.length - at >= PREFIX_BYTES) {
      const size = bytes.readUInt32BE(at + 1);
      if (bytes[at] !== 0 || (this.maxMessageBytes !== -1 && size > this.maxMessageBytes)) {
        return bytes.subarray(at);
      }
      const end = at + PREFIX_BYTES + size;
      if (end > bytes.length) {
        needed = PREFIX_BYTES + size;
        break;
      }
      if (!each(bytes, at + PREFIX_BYTES, end)) return bytes.subarray(end);
      at = end;
    }
    if (at < bytes.length) this.keep(at === 0 ? bytes : bytes.subarray(at), needed);
    return undefined;
  }

  /** What waits and the chunk as one, once that is enough. */
  private joined(chunk: Buffer): Buffer | undefined {
    if (this.waitingBytes === 0) return chunk;
    this.pieces.push(chunk);
    this.waitingBytes += chunk.length;
    if (this.waitingBytes < this.neededBytes) return undefined;
    const bytes = Buffer.concat(this.pieces, this.waitingBytes);
    this.pieces = [];
    this.waitingBytes = 0;
    return bytes;
  }

  private keep(rest: Buffer, neededBytes: number): void {
    this.pieces = [rest];
    this.waitingBytes = rest.length;
    this.neededBytes = neededBytes;
  }
}
