import type { FaultRow, FaultTest } from "./fault-row.js";
import { ACCESS_FAULTS } from "./rows/access.js";
import { AGENT_FAULTS } from "./rows/agents.js";
import { GATEWAY_FAULTS } from "./rows/gateways.js";
import { PROVIDER_FAULTS } from "./rows/provider.js";
import { STORE_FAULTS } from "./rows/stores.js";
import { WIRE_FAULTS } from "./rows/wire.js";

/** Every fault that the product is to survive, by number. */
export const FAULTS: readonly FaultRow[] = [
  ...AGENT_FAULTS,
  ...PROVIDER_FAULTS,
  ...STORE_FAULTS,
  ...GATEWAY_FAULTS,
  ...WIRE_FAULTS,
  ...ACCESS_FAULTS,
].sort((one, other) => one.number - other.number);

/** The mark at the end of a test's title: every row that names it, as "(fault 9, fault 10)". */
export function markOf({ file, title }: FaultTest): string {
  const numbers = FAULTS.filter(({ tests }) => tests.some((t) => t.file === file && t.title === title));
  return `(${numbers.map(({ number }) => `fault ${number}`).join(", ")})`;
}
