import type { Logger } from "../util/logger.js";
import type { SpoolState } from "./failover-options.js";

const WARN_AT = 0.8;
const CALM_BELOW = 0.6;

/** Says once each time that a spool is 80 % full, full, and calm again (below 60 %). */
export class SpoolAlarm {
  private level: "calm" | "warned" | "full" = "calm";

  constructor(private readonly logger: Logger) {}

  see(state: SpoolState): void {
    const { store, depth, bytes, maxBytes } = state;
    const filled = maxBytes > 0 ? bytes / maxBytes : 0;
    const fields = { spool: store, depth, bytes, max_bytes: maxBytes };
    if (state.full && this.level !== "full") {
      this.level = "full";
      this.logger.error(fields, "the spool of contexts is full: it takes no more until the database is back");
    } else if (filled >= WARN_AT && this.level === "calm") {
      this.level = "warned";
      this.logger.warn(fields, "the spool of contexts is 80 % full");
    } else if (!state.full && filled < CALM_BELOW && this.level !== "calm") {
      this.level = "calm";
      this.logger.info(fields, "the spool of contexts has room again");
    }
  }
}
