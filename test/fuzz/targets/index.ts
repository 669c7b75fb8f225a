import type { Target } from "../target.js";
import { audioTargets } from "./audio.js";
import { browserTargets } from "./browser.js";
import { configTargets } from "./config.js";
import { natsTargets } from "./nats.js";
import { serveTargets } from "./serve.js";
import { telephonyTargets } from "./telephony.js";
import { textTargets } from "./text.js";
import { tokenTargets } from "./tokens.js";

/** Everything that is fuzzed in one process, without a network. The real sockets are in sockets.ts. */
export const TARGETS: readonly Target[] = [
  ...telephonyTargets,
  ...audioTargets,
  ...textTargets,
  ...tokenTargets,
  ...configTargets,
  ...serveTargets,
  ...browserTargets,
  ...natsTargets,
];
