import type { Evidence } from "./evidence.js";
import type { TimelineLine } from "./timeline.js";
import type { Verdict } from "./verifier.js";

export function drawCall(_evidence: Evidence, _verdict: Verdict, _lines: readonly TimelineLine[]): string {
  return "<svg/>";
}
