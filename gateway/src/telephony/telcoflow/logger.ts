import type { Logger } from "../../util/logger.js";

export { type Logger, silentLogger } from "../../util/logger.js";

/** The same logger with these fields on each line. */
export function withFields(log: Logger, fixed: object): Logger {
  return {
    debug: (fields, message) => log.debug({ ...fixed, ...fields }, message),
    info: (fields, message) => log.info({ ...fixed, ...fields }, message),
    warn: (fields, message) => log.warn({ ...fixed, ...fields }, message),
    error: (fields, message) => log.error({ ...fixed, ...fields }, message),
  };
}
