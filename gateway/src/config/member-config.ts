import { join } from "node:path";
import type { GatewayConfig } from "./config-types.js";

/** Ports that are listened on when none are configured. */
export const DEFAULT_PORTS = { ops: 7071, desk: 7072 } as const;

/** The id of the n-th gateway of this machine, from 1. */
export function memberId(id: string, number: number): string {
  return `${id}-${number}`;
}

/** What the n-th gateway listens on when the first one has `port`; 0, any free one, stays 0. */
export function memberPort(port: number, number: number, step: number): number {
  return port === 0 ? 0 : port + (number - 1) * step;
}

/**
 * The configuration of the n-th of several gateways that one file starts, from 1: its own id, a folder below the
 * configured one, and ports that are `serve.port_step` above those of the gateway before it. The rest is the same.
 */
export function memberConfig(config: GatewayConfig, id: string, number: number): GatewayConfig {
  const { gateway, ops, desk, serve } = config;
  const own = (port: number) => memberPort(port, number, serve.portStep);
  return {
    ...config,
    gateway: {
      ...gateway,
      id: memberId(id, number),
      stateDir: join(gateway.stateDir, `gateway-${number}`),
      grpc: { ...gateway.grpc, port: own(gateway.grpc.port) },
    },
    // Set, so that one which is taken is an error: who scrapes it has to find it there.
    ops: { ...ops, port: own(ops.port ?? DEFAULT_PORTS.ops) },
    ...(desk && { desk: { ...desk, port: own(desk.port ?? DEFAULT_PORTS.desk) } }),
    serve: { ...serve, gateways: 1 },
  };
}
