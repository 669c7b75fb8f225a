import type { ContextServiceDefinition, ServiceHandlers } from "@callweave/proto";
import { WATCH_ENCODERS } from "../contract/watch-wire.js";
import { type EdgeContext, unaries } from "./unary.js";
import { pump } from "./watch.js";

/** The handlers of ContextService. */
export function contextService(context: EdgeContext): ServiceHandlers<typeof ContextServiceDefinition> {
  const { watchContexts } = context.watches;
  return {
    ...unaries(context, context.operations.context),
    watchContexts: (call) => void pump(context, call, watchContexts, WATCH_ENCODERS.watchContexts),
  };
}
