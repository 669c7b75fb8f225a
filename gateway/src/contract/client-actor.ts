import type { Actor } from "../call/call-commands.js";
import type { Principal } from "./principal.js";

/** The actor of a unary client. */
export function clientActor(principal: Principal): Actor {
  return { tenant: principal.tenant, name: `client:${principal.name}` };
}
