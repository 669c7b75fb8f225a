import { type Reattach, ReattachCall } from "@callweave/proto";

/** Tags and lengths around the calls: of the message, its item and the token. */
const AROUND_BYTES = 64;
/** Tag and length of one call. */
const PER_CALL_BYTES = 3;

/** A Reattach that fits a message, and which calls had no room in it. */
export interface FittedReattach {
  readonly reattach: Reattach;
  readonly left: readonly ReattachCall[];
}

/** Takes as many calls, in order, as a message of `maxBytes` holds with the token. */
export function fitReattach(
  sessionToken: string,
  calls: readonly ReattachCall[],
  maxBytes: number,
): FittedReattach {
  let bytes = AROUND_BYTES + Buffer.byteLength(sessionToken);
  let count = 0;
  for (const call of calls) {
    bytes += ReattachCall.encode(call).finish().length + PER_CALL_BYTES;
    if (bytes > maxBytes) break;
    count++;
  }
  return {
    reattach: { sessionToken, calls: calls.slice(0, count) },
    left: calls.slice(count),
  };
}
