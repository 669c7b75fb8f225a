import { randomFillSync } from "node:crypto";
import bufferUtil from "bufferutil";
import { WHOLE_BINARY } from "./frame-splitter.js";

const MASKED = 0x80;
const MASK_BYTES = 4;

/** Random masks are drawn so many bytes at a time. */
const masks = Buffer.alloc(8_192);
let nextMask = masks.length;
const mask = Buffer.alloc(MASK_BYTES);

/**
 * A WebSocket message of a client, in one binary frame: the first `length` bytes of `payload`, masked with random bytes as RFC 6455
 * (5.3) demands. Fresh memory, because a socket may hold it for long; `payload` may be used again at once.
 */
export function clientFrame(payload: Buffer, length: number): Buffer {
  const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(header + MASK_BYTES + length);
  frame[0] = WHOLE_BINARY;
  if (header === 2) frame[1] = MASKED | length;
  else if (header === 4) {
    frame[1] = MASKED | 126;
    frame[2] = length >> 8;
    frame[3] = length & 0xff;
  } else {
    frame[1] = MASKED | 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  if (nextMask === masks.length) {
    randomFillSync(masks);
    nextMask = 0;
  }
  for (let i = 0; i < MASK_BYTES; i++) frame[header + i] = mask[i] = masks[nextMask++] as number;
  bufferUtil.mask(payload, mask, frame, header + MASK_BYTES, length);
  return frame;
}
