import type { GatewayConfig } from "../config/config-types.js";
import type { Logger } from "../util/logger.js";
import { auditFolder } from "./audit-files.js";
import { AuditLog } from "./audit-log.js";

/** The audit log of the configuration; undefined when it is switched off. Rejects when it cannot be written. */
export async function openAudit(
  { audit, gateway, contexts }: GatewayConfig,
  gatewayId: string,
  logger: Logger,
): Promise<AuditLog | undefined> {
  const { enabled, ...options } = audit;
  if (!enabled) return undefined;
  const { defaultCountryCode } = contexts;
  return AuditLog.open({
    ...options,
    folder: auditFolder(gateway.stateDir),
    gatewayId,
    defaultCountryCode,
    logger,
  });
}
