/** The messages of the contract alone, without gRPC: what a browser can load. */

export * from "./gen/callweave/v1/agent_service.js";
export * from "./gen/callweave/v1/audio.js";
export * from "./gen/callweave/v1/audit_service.js";
export * from "./gen/callweave/v1/browser.js";
export * from "./gen/callweave/v1/call.js";
export * from "./gen/callweave/v1/call_event.js";
export * from "./gen/callweave/v1/call_service.js";
export * from "./gen/callweave/v1/context.js";
export * from "./gen/callweave/v1/context_service.js";
export * from "./gen/callweave/v1/error.js";
export * from "./gen/callweave/v1/escalation.js";
export * from "./gen/callweave/v1/fleet_service.js";
