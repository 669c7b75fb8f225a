/**
 * The gateway as a library: run one in your own process, or put parts of your own in the place of ours. Everything not
 * named here is internal and may change without notice.
 */
export { ConfigError, type GatewayConfig, type LoadConfigOptions, loadConfig } from "./config/index.js";
export { Gateway, type GatewayParts } from "./gateway.js";
export type { GatewayApi } from "./gateway-api.js";
export { type RunningGateway, type ServeOverrides, startGateway, VERSION } from "./serve.js";
export type {
  CallLeg,
  CallLegHandler,
  CallNotice,
  ConnectOutcome,
  Connector,
  ConnectorHandler,
  IncomingCall,
  PlaybackSource,
} from "./telephony/telephony.js";
export { TelephonyError } from "./telephony/telephony.js";
export { type Logger, silentLogger } from "./util/logger.js";
