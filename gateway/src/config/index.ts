export { ConfigError, type ConfigProblem } from "./config-error.js";
export type {
  CallFlowConfig,
  ConnectorAuth,
  ConnectorConfig,
  GatewayConfig,
  GrpcConfig,
  HoursConfig,
  KeyConfig,
  NatsConfig,
  NatsWireConfig,
  PoolConfig,
  RouteConfig,
  UnservedChoice,
} from "./config-types.js";
export { describeGateways, describeServing } from "./describe-serving.js";
export { configJsonSchema, DEFAULT_CONFIG_FILE, type LoadConfigOptions, loadConfig } from "./load-config.js";
export { memberConfig, memberId } from "./member-config.js";
export { printConfig } from "./print-config.js";
export { explainRoute, type RoutedCall, type RouteQuestion, routeCall } from "./routes.js";
