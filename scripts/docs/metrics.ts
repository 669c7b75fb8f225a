import { METRICS, type MetricSpec } from "../../gateway/src/ops/metric-catalogue.js";
import { table } from "./proto-comments.js";

const NEEDS: Readonly<Record<NonNullable<MetricSpec["needs"]>, string>> = {
  bus: "with NATS",
  contextStore: "with MongoDB",
  spool: "with MongoDB",
  eventStore: "with NATS",
  cluster: "with NATS",
  webhooks: "with webhooks",
};

/** Every metric of the gateway, from the catalogue that makes them. */
export function metrics(): string {
  const rows = Object.entries(METRICS as Record<string, MetricSpec>).map(([name, spec]) => [
    `\`${name}\``,
    spec.type,
    (spec.labels ?? []).map((label) => `\`${label}\``).join(", "),
    `${spec.help}${spec.needs ? ` (${NEEDS[spec.needs]})` : ""}`,
  ]);
  return table(["metric", "type", "labels", "meaning"], rows);
}
