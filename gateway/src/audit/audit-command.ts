import type { Command } from "commander";
import type { GatewayConfig } from "../config/index.js";
import { auditFolder } from "./audit-files.js";
import { type AuditVerdict, verifyAudit } from "./audit-verify.js";

interface Flags {
  readonly config?: string;
  readonly json?: boolean;
}

/** Adds `audit verify` to the program. `load` reads a configuration, or prints what is wrong with it and ends with 2. */
export function addAuditCommand(program: Command, load: (file: string | undefined) => GatewayConfig): void {
  program
    .command("audit")
    .description("look after the audit log")
    .command("verify")
    .description(
      "follow the chain of the audit log; exit code 1 when something was changed, removed or moved",
    )
    .option("--config <file>", "configuration file (default: callweave.yaml if there is one)")
    .option("--json", "the verdict as one JSON object")
    .action(async (flags: Flags) => {
      const { gateway, audit } = load(flags.config);
      const verdict = await verifyAudit(auditFolder(gateway.stateDir), audit.keyFile);
      for (const line of flags.json ? [JSON.stringify(verdict)] : verdictLines(verdict)) console.log(line);
      process.exitCode = verdict.ok ? 0 : 1;
    });
}

/** A verdict for people. */
export function verdictLines({ ok, entries, first, last, problems }: AuditVerdict): string[] {
  const range = entries === 0 ? "no entries" : `${entries} entries, ${first} to ${last}`;
  return [
    ...problems.map(({ file, line, what }) => `${file}${line > 0 ? `:${line}` : ""}: ${what}`),
    ok ? `ok: ${range}` : `NOT AS IT WAS WRITTEN: ${range}, ${problems.length} problems`,
  ];
}
