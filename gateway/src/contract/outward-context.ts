import { cutTo } from "../context/context-rules.js";
import type { CallContext } from "../context/context-types.js";

/**
 * A context as it may leave the gateway to whoever follows it: without words when consent was refused, and about
 * `maxBytes` of words at most, the oldest turns left out and `truncated` set.
 */
export function outwardContext(context: CallContext, maxBytes: number): CallContext {
  // Whoever refused consent has no words in the store; none leave it either way.
  return cutTo(context.consent?.transcript === false ? { ...context, turns: [] } : context, maxBytes);
}
