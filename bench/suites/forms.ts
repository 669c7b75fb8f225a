import { cellsTable } from "./cells-table.js";
import { versusSuite } from "./versus.js";

/** Other ways to connect an agent, each against four streams without TLS on loopback. */
export const formsSuite = versusSuite({
  name: "variants",
  what: "one stream, one connection, simple form, answers together, TLS, 20 ms of round trip, each against four streams",
  known: "gateway",
  defaults: {
    variants: ["gateway", "gateway-1", "one-connection", "simple", "together", "tls", "round-trip-20"],
    loads: [100],
    rounds: 5,
    warmUp: 10,
    seconds: 10,
  },
  table: (cells, ratios) =>
    cellsTable(cells, "× four streams", (cell) => ratios[`${cell.variant}/gateway@${cell.calls}`]),
});
