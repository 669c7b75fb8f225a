import type { Command } from "commander";
import type { GatewayConfig } from "../config/index.js";
import { type DeadLetter, DeadLetters, webhooksFolder } from "./dead-letters.js";

interface Flags {
  readonly config?: string;
  readonly json?: boolean;
  readonly all?: boolean;
  readonly webhook?: string;
}

/** Adds `webhooks dead-letters` and `webhooks resend`. `load` reads a configuration, or prints what is wrong and ends with 2. */
export function addWebhooksCommands(
  program: Command,
  load: (file: string | undefined) => GatewayConfig,
): void {
  const webhooks = program.command("webhooks").description("look after the webhooks");
  const lettersOf = ({ config }: Flags) => new DeadLetters(webhooksFolder(load(config).gateway.stateDir));
  webhooks
    .command("dead-letters")
    .description("list the deliveries that were given up, oldest first")
    .option("--config <file>", "configuration file (default: callweave.yaml if there is one)")
    .option("--webhook <name>", "of this webhook alone")
    .option("--json", "one JSON object a line")
    .action(async (flags: Flags) => {
      for (const letter of chosen(await lettersOf(flags).list(), flags))
        console.log(flags.json ? JSON.stringify(letter) : lineOf(letter));
    });
  webhooks
    .command("resend")
    .description("have the running gateway send dead letters again, once each")
    .argument("[ids...]", "deliveries, as dead-letters shows them")
    .option("--config <file>", "configuration file (default: callweave.yaml if there is one)")
    .option("--webhook <name>", "with --all: of this webhook alone")
    .option("--all", "every dead letter")
    .action(async (ids: string[], flags: Flags) => {
      const letters = lettersOf(flags);
      const wanted = flags.all ? chosen(await letters.list(), flags).map(({ id }) => id) : ids;
      if (wanted.length === 0 && !flags.all) throw new Error("name deliveries, or --all");
      let missing = 0;
      for (const id of wanted) {
        if (await letters.request(id)) continue;
        missing++;
        console.error(`no dead letter ${id}`);
      }
      console.log(`${wanted.length - missing} will be sent again`);
      process.exitCode = missing > 0 ? 1 : 0;
    });
}

function chosen(letters: readonly DeadLetter[], { webhook }: Flags): readonly DeadLetter[] {
  return letters.filter((letter) => webhook === undefined || letter.webhook === webhook);
}

function lineOf({ id, tenant, webhook, type, callId, eventTime, attempts, error }: DeadLetter): string {
  return `${id}  ${tenant}/${webhook}  ${type} of ${callId} at ${eventTime}  ${attempts} attempts, ${error}`;
}
