import type { GatewayConfig } from "../config/config-types.js";
import type { AuthOptions } from "../contract/authenticator.js";

/** What the configuration says about credentials. */
export function authOptions({ gateway, auth }: GatewayConfig): AuthOptions {
  return {
    keys: gateway.grpc.keys,
    certificates: auth.certificates,
    leewaySeconds: auth.leewaySeconds,
    openToAll: auth.withoutKeys !== undefined,
    issuers: auth.issuers.map(({ jwksUrl, jwksFile, refreshSeconds, cooldownSeconds, ...issuer }) => ({
      ...issuer,
      ...(jwksUrl === undefined ? {} : { url: jwksUrl }),
      ...(jwksFile === undefined ? {} : { file: jwksFile }),
      refreshMs: refreshSeconds * 1000,
      cooldownMs: cooldownSeconds * 1000,
    })),
  };
}
