export { ContextFeed, type ContextFeedOptions } from "./context-feed.js";
export { natsWireOptions } from "./from-config.js";
export type { NatsWireOptions } from "./options.js";
export { createNatsWire, isLocalServer, type NatsWire, SERVICE_NAME } from "./wire.js";
export type { NatsStats } from "./wire-context.js";
