import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./child.js";

/** Where what is compared with is kept. */
export const FROZEN_FOLDER = join(ROOT, "bench/frozen");

/**
 * Checks that what the gateway is compared with is what it always was: each file of `SHA256SUMS` has the sum that stands
 * there. Changing one needs a decision record (docs/adr/0014) and every figure anew.
 * @throws Error naming the file that differs
 */
export function checkFrozen(folder = FROZEN_FOLDER): void {
  const lines = readFileSync(join(folder, "SHA256SUMS"), "utf8").trim().split("\n");
  for (const line of lines) {
    const [sum, name] = line.split(/ [ *]/);
    if (!sum || !name) throw new Error(`SHA256SUMS: not a sum and a name: ${line}`);
    const is = createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex");
    if (is !== sum)
      throw new Error(
        `bench/frozen/${name} was changed: what is compared with is frozen, see docs/adr/0014-frozen-floor.md`,
      );
  }
}
