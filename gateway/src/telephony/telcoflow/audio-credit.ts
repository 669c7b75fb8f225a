/** Limits of the credit. */
export interface AudioCreditOptions {
  /** Longest frame answered with, bytes of audio; even. */
  readonly maxFrameBytes: number;
  /** Preferred frame where the request names none, bytes. */
  readonly defaultPreferBytes: number;
  /** Requests kept apart; when full, a further one is added to the newest. */
  readonly maxRequests: number;
  /** Unanswered bytes in sum; what goes over it is cut. */
  readonly maxOutstandingBytes: number;
}

/** What became of a request. "cut": the credit reached its limit. */
export type CreditResult = "added" | "cut" | "otherChannel" | "nothing";

interface CreditRequest {
  remaining: number;
  readonly preferBytes: number;
}

/**
 * The credit of one media connection: the provider asks for bytes, the adapter answers with as much as it has and keeps
 * the rest of the credit for later. Requests are answered first in, first out, and a frame never spans two. Frames are
 * at least the preferred length of their request (or what is left of it), unless a tail is to be flushed, and at most
 * `maxFrameBytes`. All frames are even; the odd byte of an odd request is never sent. Knows no socket and no audio.
 */
export class AudioCredit {
  private readonly requests: CreditRequest[] = [];
  private outstanding = 0;

  constructor(private readonly options: AudioCreditOptions) {}

  /** Bytes that were asked for and not sent yet. */
  get outstandingBytes(): number {
    return this.outstanding;
  }

  /** Requests kept apart. */
  get pendingRequests(): number {
    return this.requests.length;
  }

  /** Takes a `buffer_request`. `preferBytes` 0: the default. Only channel 0 is ever answered. */
  add(requestedBytes: number, preferBytes: number, channel: number): CreditResult {
    if (channel !== 0) return "otherChannel";
    const asked = requestedBytes - (requestedBytes % 2);
    if (!(asked > 0)) return "nothing";
    const room = this.options.maxOutstandingBytes - this.outstanding;
    const bytes = Math.min(asked, room - (room % 2));
    if (bytes > 0) {
      const wanted = preferBytes > 0 ? preferBytes : this.options.defaultPreferBytes;
      const prefer = Math.min(this.options.maxFrameBytes, wanted + (wanted % 2));
      const newest = this.requests[this.requests.length - 1];
      if (newest && this.requests.length >= this.options.maxRequests) newest.remaining += bytes;
      else this.requests.push({ remaining: bytes, preferBytes: prefer });
      this.outstanding += bytes;
    }
    return bytes < asked ? "cut" : "added";
  }

  /**
   * Bytes of the next frame when `availableBytes` of audio are there; 0: wait for more audio or more credit. `flush`
   * lets a tail through that is shorter than preferred.
   */
  next(availableBytes: number, flush: boolean): number {
    const head = this.requests[0];
    if (!head || availableBytes < 2) return 0;
    const least = Math.min(head.preferBytes, head.remaining);
    if (availableBytes < least && !flush) return 0;
    const bytes = Math.min(availableBytes, head.remaining, this.options.maxFrameBytes);
    return bytes - (bytes % 2);
  }

  /** A frame of this many bytes was sent; at most what next() said. */
  spend(bytes: number): void {
    const head = this.requests[0];
    if (!head || bytes > head.remaining) throw new RangeError("more sent than was asked for");
    head.remaining -= bytes;
    this.outstanding -= bytes;
    if (head.remaining === 0) this.requests.shift();
  }

  /** All credit is gone: the connection it was given on is. */
  clear(): void {
    this.requests.length = 0;
    this.outstanding = 0;
  }
}
