import type { Server } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";

/** The services whose health is told, besides "" for the whole. */
export const HEALTH_SERVICES = [
  "",
  "callweave.v1.AgentService",
  "callweave.v1.AuditService",
  "callweave.v1.CallService",
  "callweave.v1.ContextService",
  "callweave.v1.FleetService",
] as const;

/** The paths of health; open to everybody. */
export const HEALTH_PATH = /^\/grpc\.health\.v1\.Health\//;

/** Adds grpc.health.v1, open to everybody, NOT_SERVING at first. Answers how to change it. */
export function addHealth(server: Server): (serving: boolean) => void {
  const initial = Object.fromEntries(HEALTH_SERVICES.map((name) => [name, "NOT_SERVING" as const]));
  const health = new HealthImplementation(initial);
  health.addToServer(server);
  return (serving) => {
    for (const name of HEALTH_SERVICES) health.setStatus(name, serving ? "SERVING" : "NOT_SERVING");
  };
}
