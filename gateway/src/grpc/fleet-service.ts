import type { FleetServiceDefinition, ServiceHandlers } from "@callweave/proto";
import { type EdgeContext, unaries } from "./unary.js";

/** The handlers of FleetService. */
export function fleetService(context: EdgeContext): ServiceHandlers<typeof FleetServiceDefinition> {
  return unaries(context, context.operations.fleet);
}
