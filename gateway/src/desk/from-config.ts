import type { DeskConfig, GatewayConfig } from "../config/config-types.js";
import type { DeskOptions } from "./options.js";

/** The options of the desk as the configuration says; its keys are those of gRPC. */
export function deskOptions(
  config: GatewayConfig,
  desk: DeskConfig,
  tls?: NonNullable<DeskOptions["tls"]>,
): DeskOptions {
  const { tls: _files, ...options } = desk;
  return {
    ...options,
    keys: config.gateway.grpc.keys,
    ...(tls && { tls: { cert: tls.cert, key: tls.key } }),
  };
}
