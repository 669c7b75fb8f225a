import { fileURLToPath } from "node:url";
import type { Server } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { protoPath as healthProto } from "grpc-health-check";

/** The paths of reflection, all versions; they need a credential like everything else. */
export const REFLECTION_PATH = /^\/grpc\.reflection\./;

/** Adds gRPC reflection over the .proto files of the contract and grpc.health.v1. Throws when they are not there. */
export function addReflection(server: Server): void {
  const root = fileURLToPath(new URL("../../../proto/", import.meta.url));
  const services = ["agent_service", "audit_service", "call_service", "context_service", "fleet_service"];
  const files = services.map((name) => `callweave/v1/${name}.proto`);
  const definition = loadSync([...files, healthProto], {
    includeDirs: [root],
    keepCase: true,
    longs: String,
  });
  new ReflectionService(definition).addToServer(server);
}
