const BLOCK_BYTES = 16_384;

/**
 * Bytes first in, first out, copied once on the way in, or not at all when they are read before `settle()`. Memory is taken in
 * blocks as needed and given back as read; one block stays while audio comes and goes, since a new one for every frame
 * keeps the garbage collector busy, and one more while some waits all the time.
 */
export class ByteQueue {
  private blocks: Buffer[] = [];
  /** Read, for what is written next. */
  private spare: Buffer | undefined;
  private readAt = 0;
  private writeAt = 0;
  private size = 0;
  /** Bytes that were lent: all that wait, from `lentAt` on. */
  private lent: Uint8Array | undefined;
  private lentAt = 0;

  /** Bytes waiting. */
  get length(): number {
    return this.size;
  }

  /** Copies `bytes` to the end. Unbounded; whoever writes checks `length` first. */
  write(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.blocks.length === 0 || this.writeAt === BLOCK_BYTES) {
        this.blocks.push(this.spare ?? Buffer.allocUnsafeSlow(BLOCK_BYTES));
        this.spare = undefined;
        this.writeAt = 0;
      }
      const n = Math.min(bytes.length - at, BLOCK_BYTES - this.writeAt);
      const part = n === bytes.length ? bytes : bytes.subarray(at, at + n);
      this.blocks[this.blocks.length - 1]!.set(part, this.writeAt);
      this.writeAt += n;
      at += n;
    }
    this.size += bytes.length;
  }

  /**
   * As write(), but what is read of it before settle() is not copied here. `bytes` must not change until then. Nothing else is
   * written in between.
   */
  lend(bytes: Uint8Array): void {
    if (this.size > 0) {
      this.write(bytes);
      return;
    }
    this.lent = bytes;
    this.lentAt = 0;
    this.size = bytes.length;
  }

  /** What was lent and not read is copied. */
  settle(): void {
    const { lent } = this;
    if (!lent) return;
    this.lent = undefined;
    if (this.size === 0) return;
    this.size = 0;
    this.write(this.lentAt === 0 ? lent : lent.subarray(this.lentAt));
  }

  /** Moves up to `maxBytes` into `target` at `offset`; answers how many. */
  read(target: Uint8Array, offset: number, maxBytes: number): number {
    const total = Math.min(maxBytes, this.size);
    if (this.lent) return this.readLent(this.lent, target, offset, total);
    let done = 0;
    while (done < total) {
      const n = Math.min(total - done, BLOCK_BYTES - this.readAt);
      target.set(this.blocks[0]!.subarray(this.readAt, this.readAt + n), offset + done);
      done += n;
      this.pass(n);
    }
    return total;
  }

  /** Drops up to `maxBytes` of the oldest; answers how many. */
  skip(maxBytes: number): number {
    const total = Math.min(maxBytes, this.size);
    if (this.lent) {
      this.lentAt += total;
      this.size -= total;
      return total;
    }
    for (let rest = total; rest > 0; ) {
      const n = Math.min(rest, BLOCK_BYTES - this.readAt);
      rest -= n;
      this.pass(n);
    }
    return total;
  }

  /** Goes on behind `bytes` of the first block. */
  private pass(bytes: number): void {
    this.readAt += bytes;
    this.size -= bytes;
    if (this.readAt === BLOCK_BYTES) {
      if (this.blocks.length > 1) this.spare = this.blocks.shift();
      this.readAt = 0;
    }
    if (this.size === 0) {
      // Nothing waits: the block that is left is filled from its beginning.
      this.spare = undefined;
      this.readAt = 0;
      this.writeAt = 0;
    }
  }

  private readLent(lent: Uint8Array, target: Uint8Array, offset: number, total: number): number {
    const from = this.lentAt;
    this.lentAt += total;
    this.size -= total;
    target.set(from === 0 && total === lent.length ? lent : lent.subarray(from, this.lentAt), offset);
    return total;
  }

  /** Drops everything and gives all memory back; answers how many bytes were dropped. */
  clear(): number {
    const dropped = this.size;
    this.blocks = [];
    this.spare = undefined;
    this.lent = undefined;
    this.readAt = 0;
    this.writeAt = 0;
    this.size = 0;
    return dropped;
  }
}
