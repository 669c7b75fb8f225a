import { agentsSuite } from "./agents.js";
import { capacitySuite } from "./capacity.js";
import { cpuSuite } from "./cpu.js";
import { formsSuite } from "./forms.js";
import { latencySuite } from "./latency.js";
import type { Suite } from "./suite.js";

/** All suites of `--only`. */
export const SUITES: readonly Suite[] = [cpuSuite, latencySuite, capacitySuite, formsSuite, agentsSuite];
