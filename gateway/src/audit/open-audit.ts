import type { GatewayConfig } from "../config/config-types.js";
import type { Logger } from "../util/logger.js";
import { auditFolder, auditSecret } from "./audit-files.js";
import { AuditLog } from "./audit-log.js";
import { CallerNumbers } from "./caller-numbers.js";
import { openEmbeddedCallerKeys } from "./embedded-caller-keys.js";
import { MongoCallerKeys } from "./mongo-caller-keys.js";

/**
 * The audit log of the configuration; undefined when it is switched off. The keys of callers are where the contexts are: in
 * MongoDB with its address, else in the state folder. Rejects when it cannot be written; MongoDB may be away.
 */
export async function openAudit(
  { audit, gateway, contexts }: GatewayConfig,
  gatewayId: string,
  logger: Logger,
): Promise<AuditLog | undefined> {
  const { enabled, ...options } = audit;
  if (!enabled) return undefined;
  const { defaultCountryCode, mongodb } = contexts;
  const folder = auditFolder(gateway.stateDir);
  const secret = options.keyFile === undefined ? undefined : await auditSecret(folder, options.keyFile);
  const keys = mongodb
    ? new MongoCallerKeys({ ...mongodb, collection: `${mongodb.collection}_callers` })
    : await openEmbeddedCallerKeys(gateway.stateDir);
  const numbers = new CallerNumbers(keys, secret);
  return AuditLog.open({ ...options, folder, gatewayId, defaultCountryCode, numbers, logger }).catch(
    async (error: unknown) => {
      await numbers.close();
      throw error;
    },
  );
}
