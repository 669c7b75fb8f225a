import { stringify } from "yaml";
import { snakeCased } from "./camel-case.js";
import type { GatewayConfig } from "./config-types.js";

// An address of a database holds its password.
const SECRET = /^(?:key|key_sha256|api_key|url|.*(?:secret|token|password|passphrase).*)$/;
const MASK = "***";

/** The configuration in effect as YAML, defaults included, secrets as ***. */
export function printConfig(config: GatewayConfig): string {
  return stringify(masked(snakeCased(config)), { lineWidth: 0 });
}

function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => v !== undefined)
      .map(([key, v]) => [key, SECRET.test(key) && typeof v === "string" ? MASK : masked(v)]),
  );
}
