import { Command, InvalidArgumentError, Option } from "commander";
import { pino } from "pino";
import { addAuditCommand } from "./audit/audit-command.js";
import { addAuthCommands } from "./auth/auth-commands.js";
import { ReloadOnChange } from "./auth/reload-on-change.js";
import {
  ConfigError,
  describeServing,
  explainRoute,
  type GatewayConfig,
  loadConfig,
  memberConfig,
  printConfig,
} from "./config/index.js";
import { addDoctor } from "./doctor/doctor-command.js";
import { collectAlone, setHeapGrowth } from "./ops/heap-growth.js";
import { RestingHeap } from "./ops/resting-heap.js";
import { makeGatewayId, startGateway, VERSION } from "./serve.js";
import { MEMBER_OPTION, onSupervisorGone, tellServing } from "./supervisor/member-process.js";
import { supervise } from "./supervisor/supervise.js";
import { isFailedCommit } from "./util/failed-commit.js";
import type { Logger } from "./util/logger.js";
import { addWebhooksCommands } from "./webhooks/index.js";

const program = new Command("callweave")
  .description("Phone calls as one gRPC contract")
  .version(VERSION)
  .showHelpAfterError();

program
  .command("serve")
  .description("run the gateway until SIGTERM or SIGINT; a second signal ends it at once")
  .option("--config <file>", "configuration file (default: callweave.yaml if there is one)")
  .option("--port <port>", "listen here instead, 0 for any free port", portNumber)
  .option(
    "--gateways <n>",
    "so many gateways, each a process of its own; needs NATS (default: serve.gateways)",
  )
  .addOption(new Option(`${MEMBER_OPTION} <n>`).argParser(Number).hideHelp())
  .action(serve);

const config = program.command("config").description("look at a configuration without running it");

config
  .command("check")
  .description("say what is wrong, or which calls it would take")
  .option("--config <file>", "configuration file")
  .option("--connector <name>", "with --call: the connector it comes by (default: each)")
  .option("--call <numbers...>", "FROM TO: print the route of one call")
  .action((options: { config?: string; connector?: string; call?: string[] }) => {
    const loaded = load(options.config);
    if (options.call === undefined) {
      for (const line of describeServing(loaded)) console.log(line);
      return;
    }
    const [from, to] = options.call;
    if (from === undefined || to === undefined || options.call.length > 2) {
      throw new Error("--call needs two numbers: --call FROM TO");
    }
    const { connector } = options;
    console.log(explainRoute(loaded, { from, to, at: new Date(), ...(connector ? { connector } : {}) }));
  });

config
  .command("print")
  .description("print the configuration in effect, secrets masked")
  .option("--config <file>", "configuration file")
  .action((options: { config?: string }) => {
    console.log(printConfig(load(options.config)));
  });

addDoctor(program, load);
addAuthCommands(program);
addAuditCommand(program, load);
addWebhooksCommands(program, load);

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
});

/** What a configuration is read from. */
interface Source {
  readonly config?: string;
  readonly port?: number;
  readonly gateways?: string;
}

function read(source: Source, onFile?: (file: string) => void): GatewayConfig {
  const { config: file, port, gateways } = source;
  return loadConfig({
    ...(file ? { file } : {}),
    ...(onFile && { onFile }),
    // Options of the command line are checked together with the rest.
    env: {
      ...process.env,
      ...variable("CALLWEAVE_GRPC_PORT", port),
      ...variable("CALLWEAVE_GATEWAYS", gateways),
    },
    cwd: process.cwd(),
  });
}

function variable(name: string, value: number | string | undefined): Record<string, string | undefined> {
  return value === undefined ? {} : { [name]: String(value), [`${name}_FILE`]: undefined };
}

function load(file: string | undefined): GatewayConfig {
  return loadOrExit(file === undefined ? {} : { config: file });
}

function loadOrExit(source: Source, onFile?: (file: string) => void): GatewayConfig {
  try {
    return read(source, onFile);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exit(2);
  }
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new InvalidArgumentError("must be a whole number from 0 to 65535");
  }
  return port;
}

async function serve(options: Source & { readonly member?: number }): Promise<void> {
  const { member, ...source } = options;
  const files: string[] = [];
  const loaded = loadOrExit(source, (file) => files.push(file));
  if (member === undefined && loaded.serve.gateways > 1) {
    await supervise(loaded, loaded.gateway.id ?? makeGatewayId(), loggerOf(loaded, undefined));
  }
  const config = configOfMember(loaded, member);
  const logger = loggerOf(config, config.gateway.id);
  for (const line of describeServing(config)) logger.info(line);
  const starting = startGateway(config, logger);
  let ending = 0;
  const end = (why: object, exitCode: number) => {
    ending++;
    const atOnce = ending > 1;
    logger.info(why, atOnce ? "ending at once" : "draining");
    const graceMs = config.serve.drain.maxWaitSeconds * 1000;
    starting
      .then((running) => (atOnce ? running.stop() : running.drain(graceMs)))
      .then(
        () => process.exit(exitCode),
        (error: unknown) => {
          logger.error({ err: String(error) }, "did not end cleanly");
          process.exit(1);
        },
      );
  };
  process.on("SIGTERM", (signal) => end({ signal }, 0));
  process.on("SIGINT", (signal) => end({ signal }, 0));
  surviveMistakes(logger, () => end({ reason: "too many unexpected errors" }, 1));
  if (member !== undefined) onSupervisorGone(() => end({ reason: "the supervisor is gone" }, 1));
  // Before it serves a signal would end the process; it is answered once it does.
  const reload = new ReloadOnChange({
    read: (onFile) => configOfMember(read(source, onFile), member),
    apply: async (fresh) => (await starting).reload(fresh),
    files,
    intervalMs: config.auth.watchIntervalMs,
    logger,
  });
  process.on("SIGHUP", () => void reload.reload("SIGHUP"));
  const { port, ops, deskPort, gateway } = await starting;
  collectAlone(member === undefined ? 1 : config.serve.gateways);
  setHeapGrowth(config.serve.heapGrowthPercent);
  new RestingHeap({ callsUp: () => gateway.callCount, everyMs: config.serve.heapRestSeconds * 1000 });
  if (member !== undefined) tellServing({ port, opsPort: ops.port, deskPort });
}

/** A gateway of a supervisor is told the name that theirs are made from as the id. */
function configOfMember(loaded: GatewayConfig, member: number | undefined): GatewayConfig {
  return member === undefined ? loaded : memberConfig(loaded, loaded.gateway.id ?? makeGatewayId(), member);
}

/** With an id each line has it: the lines of several gateways may go to one place. */
function loggerOf(
  { serve: { logLevel } }: GatewayConfig,
  id: string | undefined,
): Logger & { info(text: string): void } {
  return pino({
    level: logLevel,
    redact: ["*.token", "*.apiKey", "*.api_key", "*.authorization", "token", "authorization"],
    // Not bindings: where a line names the id itself, it would be there twice.
    ...(id === undefined ? {} : { mixin: () => ({ gateway_id: id }) }),
  });
}

/** Unexpected errors in a minute that end the gateway, with a drain. */
const MAX_MISTAKES_PER_MINUTE = 5;

/** One mistake in the handling of one call is logged and ends nothing else; many of them end the gateway in order. */
function surviveMistakes(logger: Logger, giveUp: () => void): void {
  let recent: number[] = [];
  const mistake = (error: unknown) => {
    if (isFailedCommit(error)) return;
    logger.error({ err: error instanceof Error ? error.stack : String(error) }, "unexpected error");
    const nowMs = performance.now();
    recent = [...recent.filter((at) => nowMs - at < 60_000), nowMs];
    if (recent.length === MAX_MISTAKES_PER_MINUTE) giveUp();
  };
  process.on("uncaughtException", mistake);
  process.on("unhandledRejection", mistake);
}
