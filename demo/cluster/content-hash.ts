import { createHash } from "node:crypto";
import type { ContextView } from "./evidence.js";

/** One hash over all that a reader sees of a context, in the order of its turns. */
export function contentHash({ callId, caller, callee, turns, summary, reason }: ContextView): string {
  const said = turns.map(({ id, role, text }) => [id, role, text]);
  return createHash("sha256")
    .update(JSON.stringify([callId, caller, callee, said, summary, reason]))
    .digest("hex");
}
