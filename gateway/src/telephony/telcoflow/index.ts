export { TelcoflowConnector, type TelcoflowParts } from "./connector.js";
export { SignInRefused } from "./control-connection.js";
export { TelcoflowCounters } from "./counters.js";
export { FrameSurvey } from "./frame-survey.js";
export type { Logger } from "./logger.js";
export type { CallFlow } from "./messages.js";
export {
  DEFAULT_LIMITS,
  type FrameObserver,
  PRODUCTION_BASE_URL,
  type TelcoflowAuth,
  type TelcoflowCredentials,
  type TelcoflowLimits,
  type TelcoflowOptions,
} from "./options.js";
