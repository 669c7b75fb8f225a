import type { ContextServiceDefinition, ServiceHandlers } from "@callweave/proto";
import { toPbContext } from "../contract/convert-context.js";
import { optionalCallId } from "../contract/validate.js";
import { type EdgeContext, unaries } from "./unary.js";
import { pump } from "./watch.js";

/** The handlers of ContextService. */
export function contextService(context: EdgeContext): ServiceHandlers<typeof ContextServiceDefinition> {
  const { contexts } = context.api;
  return {
    ...unaries(context, context.operations.context),
    watchContexts: (call) => {
      void pump(
        context,
        call,
        ({ tenant }, signal) =>
          contexts.watch(tenant, optionalCallId("call_id", call.request.callId), signal),
        (one) => ({ context: toPbContext(one, false) }),
      );
    },
  };
}
