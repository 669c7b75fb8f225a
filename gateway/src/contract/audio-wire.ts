import {
  type CallAudio,
  encodeMessage,
  GatewayItem,
  ListenCallResponse,
  type ServeResponse,
} from "@callweave/proto";

// What passes on Serve and ListenCall for each 20 ms of a call, read and written by hand: the contract's own bytes, without
// the objects and copies of the generated code. Everything else is left to that. The test of this file compares the two.

/** ServeRequest.items and ServeResponse.items. */
const ITEM_TAG = (1 << 3) | 2;
/** AgentItem.audio and GatewayItem.audio. */
const AUDIO_TAG = (6 << 3) | 2;
/** ListenCallResponse.audio. */
const LISTEN_AUDIO_TAG = (2 << 3) | 2;
/** AgentAudio.handle and CallAudio.handle. */
const HANDLE_TAG = 1 << 3;
/** AgentAudio.pcm. */
const AGENT_PCM_TAG = (2 << 3) | 2;
/** CallAudio.sequence, .position and .pcm. */
const SEQUENCE_TAG = 2 << 3;
const POSITION_TAG = 3 << 3;
const CALL_PCM_TAG = (4 << 3) | 2;

const MAX_UINT32 = 2 ** 32 - 1;

/**
 * Reads a ServeRequest, the bytes from `from` to `to`, that holds audio alone in the plain way that encoders write it, and
 * hands each item to `take` in order; `pcm` is a view that keeps `bytes` alive. Answers the number of items. Answers -1 for
 * everything else, of which the generated code knows what it is; `take` may then have been called for the first items, so
 * call it without `take` before.
 */
export function readAudio(
  bytes: Uint8Array,
  from: number,
  to: number,
  take?: (handle: number, pcm: Uint8Array) => void,
): number {
  let items = 0;
  let at = from;
  // Each item has to end where its lengths say, so nothing behind `to` counts, even where it is looked at.
  while (at < to) {
    if (bytes[at++] !== ITEM_TAG) return -1;
    const itemBytes = shortVarint(bytes, at);
    if (itemBytes < 0) return -1;
    at += varintBytes(itemBytes);
    const end = at + itemBytes;
    if (end > to || bytes[at++] !== AUDIO_TAG) return -1;
    const audioBytes = shortVarint(bytes, at);
    if (audioBytes < 0) return -1;
    at += varintBytes(audioBytes);
    if (at + audioBytes !== end) return -1;
    let handle = 0;
    if (bytes[at] === HANDLE_TAG) {
      handle = shortVarint(bytes, ++at);
      if (handle < 0) return -1;
      at += varintBytes(handle);
    }
    if (bytes[at++] !== AGENT_PCM_TAG) return -1;
    const pcmBytes = shortVarint(bytes, at);
    if (pcmBytes < 0) return -1;
    at += varintBytes(pcmBytes);
    if (at + pcmBytes !== end) return -1;
    if (take) take(handle, new Uint8Array(bytes.buffer, bytes.byteOffset + at, pcmBytes));
    at = end;
    items++;
  }
  return items;
}

/** A varint of at most four bytes, none of them needless; -1: another, or none. */
function shortVarint(bytes: Uint8Array, at: number): number {
  const a = bytes[at] as number;
  if (a < 0x80) return a;
  const b = bytes[at + 1] as number;
  if (b < 0x80) return b === 0 ? -1 : (a & 0x7f) | (b << 7);
  const c = bytes[at + 2] as number;
  if (c < 0x80) return c === 0 ? -1 : (a & 0x7f) | ((b & 0x7f) << 7) | (c << 14);
  const d = bytes[at + 3] as number;
  if (d < 0x80) return d === 0 ? -1 : (a & 0x7f) | ((b & 0x7f) << 7) | ((c & 0x7f) << 14) | (d << 21);
  return -1;
}

/**
 * Audio on its way to an agent or a listener: the item, and what the queue knows of it, as one object. The bytes of `pcm` are not
 * copied before the message is written.
 */
export class AudioItem implements GatewayItem, ListenCallResponse, CallAudio {
  /** Behind it in its queue. */
  next: AudioItem | undefined = undefined;
  /** Of the CallAudio on the wire; -1: numbers that the generated code has to judge. */
  readonly audioBytes: number;

  /** `samples` are at the rate of the call. */
  constructor(
    readonly handle: number,
    readonly sequence: number,
    readonly position: number,
    readonly pcm: Uint8Array,
    readonly samples: number,
  ) {
    this.audioBytes =
      isWhole(handle) && handle <= MAX_UINT32 && isWhole(sequence) && isWhole(position)
        ? numberBytes(handle) + numberBytes(sequence) + numberBytes(position) + lengthBytes(pcm.length)
        : -1;
  }

  /** As the generated code sees it. */
  get item(): { $case: "audio"; value: CallAudio } {
    return { $case: "audio", value: this };
  }
}

/**
 * The bytes of the generated code for a message, behind `before` bytes that are the caller's to fill. Audio is copied once,
 * into a message whose size is known before. Throws what the generated code throws.
 */
export function encodeServeResponse({ items }: ServeResponse, before = 0): Buffer {
  let others: Buffer[] | undefined;
  let size = before;
  for (const item of items) {
    if (isPlain(item)) size += delimitedBytes(delimitedBytes(item.audioBytes));
    else {
      const bytes = encodeMessage(GatewayItem, item);
      others ??= [];
      others.push(bytes);
      size += delimitedBytes(bytes.length);
    }
  }
  const out = Buffer.allocUnsafe(size);
  let at = before;
  let other = 0;
  for (const item of items) {
    out[at++] = ITEM_TAG;
    if (isPlain(item)) at = writeAudio(out, at, item);
    else {
      const bytes = others?.[other++] as Buffer;
      at = writeVarint(out, at, bytes.length);
      out.set(bytes, at);
      at += bytes.length;
    }
  }
  return out;
}

/** The same for ListenCall. */
export function encodeListenCallResponse(message: ListenCallResponse, before = 0): Buffer {
  if (!isPlain(message)) {
    const bytes = encodeMessage(ListenCallResponse, message);
    const out = Buffer.allocUnsafe(before + bytes.length);
    out.set(bytes, before);
    return out;
  }
  const out = Buffer.allocUnsafe(before + delimitedBytes(message.audioBytes));
  writeCallAudio(out, before, LISTEN_AUDIO_TAG, message);
  return out;
}

function isPlain(item: GatewayItem | ListenCallResponse): item is AudioItem {
  return item instanceof AudioItem && item.audioBytes >= 0;
}

function writeAudio(out: Buffer, start: number, item: AudioItem): number {
  return writeCallAudio(out, writeVarint(out, start, delimitedBytes(item.audioBytes)), AUDIO_TAG, item);
}

/** A field of CallAudio. */
function writeCallAudio(out: Buffer, start: number, tag: number, item: AudioItem): number {
  const { handle, sequence, position, pcm, audioBytes } = item;
  let at = start;
  out[at++] = tag;
  at = writeVarint(out, at, audioBytes);
  if (handle !== 0) {
    out[at++] = HANDLE_TAG;
    at = writeVarint(out, at, handle);
  }
  if (sequence !== 0) {
    out[at++] = SEQUENCE_TAG;
    at = writeVarint(out, at, sequence);
  }
  if (position !== 0) {
    out[at++] = POSITION_TAG;
    at = writeVarint(out, at, position);
  }
  if (pcm.length === 0) return at;
  out[at++] = CALL_PCM_TAG;
  at = writeVarint(out, at, pcm.length);
  out.set(pcm, at);
  return at + pcm.length;
}

function isWhole(value: number): boolean {
  return value >= 0 && Number.isSafeInteger(value);
}

/** A number's field; one that is 0 is left out. */
function numberBytes(value: number): number {
  return value === 0 ? 0 : 1 + varintBytes(value);
}

/** A field of bytes; an empty one is left out. */
function lengthBytes(length: number): number {
  return length === 0 ? 0 : delimitedBytes(length);
}

/** Tag, length and what has that length. */
function delimitedBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

/** Writes a whole number from 0 to 2^53 - 1 and answers where it ends. */
function writeVarint(out: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest > 0x7fffffff) {
    out[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest > 0x7f) {
    out[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}

/** Bytes of a varint, of a whole number from 0 to 2^53 - 1. */
function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  let bytes = 5;
  for (let rest = value / 2 ** 35; rest >= 1; rest /= 128) bytes++;
  return bytes;
}
