export { AllowedHosts } from "./targets.js";
export { Webhooks } from "./webhooks.js";
export { addWebhooksCommands } from "./webhooks-command.js";
