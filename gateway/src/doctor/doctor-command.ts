import { type Command, InvalidArgumentError } from "commander";
import type { ConnectorConfig, GatewayConfig } from "../config/index.js";
import { isE164 } from "../util/numbers.js";
import { runDoctor } from "./doctor.js";
import { DOCTOR_EXIT, reportLines, stepLine } from "./doctor-report.js";

interface Flags {
  readonly connector: string;
  readonly name?: string;
  readonly onlyCaller?: string;
  readonly seconds: number;
  readonly listenSeconds: number;
  readonly json?: boolean;
}

/**
 * Adds `doctor` to the program. `load` reads a configuration file, or prints what is wrong with it and ends the process
 * with 2.
 */
export function addDoctor(program: Command, load: (file: string) => GatewayConfig): void {
  program
    .command("doctor")
    .description("sign in at a real connector, take one call of your own number, say what was seen")
    .requiredOption("--connector <file>", "configuration file with the connector")
    .option("--name <name>", "which connector of the file (default: the only one)")
    .option("--only-caller <number>", "your number, instead of only_callers of the file", e164)
    .option("--seconds <n>", "how long to wait for the call", seconds, 60)
    .option("--listen-seconds <n>", "how long to listen to the caller", seconds, 5)
    .option("--json", "one JSON object per line: the steps, then the report")
    .action(async (flags: Flags) => {
      process.exitCode = await diagnose(flags, load(flags.connector));
    });
}

async function diagnose(flags: Flags, config: GatewayConfig): Promise<number> {
  const connector = pick(config, flags.name);
  if (typeof connector === "string") {
    console.error(connector);
    return DOCTOR_EXIT.configuration;
  }
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  const report = await runDoctor({
    connector,
    ...(flags.onlyCaller ? { onlyCaller: flags.onlyCaller } : {}),
    waitMs: flags.seconds * 1000,
    listenMs: flags.listenSeconds * 1000,
    signal: interrupted.signal,
    onStep: (step) => console.log(flags.json ? JSON.stringify(step) : stepLine(step)),
  });
  if (flags.json) console.log(JSON.stringify({ step: "report", ...report }));
  else for (const line of reportLines(report)) console.log(line);
  process.off("SIGINT", interrupt);
  process.off("SIGTERM", interrupt);
  return report.exitCode;
}

function pick(config: GatewayConfig, name: string | undefined): ConnectorConfig | string {
  const { connectors } = config;
  if (connectors.length === 0) return "the file has no connector";
  const names = connectors.map((connector) => connector.name).join(", ");
  if (name === undefined) {
    const [only] = connectors;
    return connectors.length === 1 && only ? only : `--name must be one of: ${names}`;
  }
  return connectors.find((connector) => connector.name === name) ?? `--name must be one of: ${names}`;
}

function e164(text: string): string {
  if (!isE164(text)) throw new InvalidArgumentError("must be a number in E.164 (+15550101)");
  return text;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 3_600)) throw new InvalidArgumentError("must be above 0, at most 3600");
  return value;
}
