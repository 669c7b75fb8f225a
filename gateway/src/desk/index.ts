/** What the rest of the gateway needs of the wire for browsers. */
export { deskOptions } from "./from-config.js";
export { DeskServer } from "./server.js";
