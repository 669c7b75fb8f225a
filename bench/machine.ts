import { cpus } from "node:os";

/** When and on what a result was measured. */
export interface Machine {
  /** YYYY-MM-DD, UTC. */
  readonly date: string;
  readonly node: string;
  readonly cores: number;
  readonly cpu: string;
}

/** Of this moment. */
export function thisMachine(): Machine {
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? "",
  };
}
