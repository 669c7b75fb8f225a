import { cellsTable } from "./cells-table.js";
import { versusSuite } from "./versus.js";

/** Tells on any machine, busy or not, that frames arrive and none is lost. Its figures mean little. */
export const quickSuite = versusSuite({
  name: "quick",
  what: "25 calls once: frames arrive and none is lost",
  known: "relay",
  defaults: {
    variants: ["relay", "gateway"],
    loads: [25],
    rounds: 1,
    warmUp: 2,
    seconds: 5,
  },
  always: { retries: 0, anyMachine: true },
  table: (cells, ratios) =>
    cellsTable(cells, "× relay", (cell) => ratios[`${cell.variant}/relay@${cell.calls}`]),
});
