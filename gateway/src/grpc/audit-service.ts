import type { AuditServiceDefinition, ServiceHandlers } from "@callweave/proto";
import { type EdgeContext, unaries } from "./unary.js";

/** The handlers of AuditService. */
export function auditService(context: EdgeContext): ServiceHandlers<typeof AuditServiceDefinition> {
  return unaries(context, context.operations.audit);
}
