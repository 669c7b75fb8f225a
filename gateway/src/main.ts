import { Command, InvalidArgumentError } from "commander";
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
  printConfig,
} from "./config/index.js";
import { addDoctor } from "./doctor/doctor-command.js";
import { startGateway, VERSION } from "./serve.js";
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
  .action(async (options: { config?: string; port?: number }) => {
    const files: string[] = [];
    const loaded = load(options.config, (file) => files.push(file));
    await serve(withPort(loaded, options.port), options.config, files);
  });

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

function read(file: string | undefined, onFile?: (file: string) => void): GatewayConfig {
  return loadConfig({
    ...(file ? { file } : {}),
    ...(onFile && { onFile }),
    env: process.env,
    cwd: process.cwd(),
  });
}

function load(file: string | undefined, onFile?: (file: string) => void): GatewayConfig {
  try {
    return read(file, onFile);
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

function withPort(loaded: GatewayConfig, port: number | undefined): GatewayConfig {
  if (port === undefined) return loaded;
  return { ...loaded, gateway: { ...loaded.gateway, grpc: { ...loaded.gateway.grpc, port } } };
}

async function serve(
  loaded: GatewayConfig,
  file: string | undefined,
  files: readonly string[],
): Promise<void> {
  const logger = pino({
    level: loaded.serve.logLevel,
    redact: ["*.token", "*.apiKey", "*.api_key", "*.authorization", "token", "authorization"],
  });
  for (const line of describeServing(loaded)) logger.info(line);
  const starting = startGateway(loaded, logger);
  let ending = 0;
  const end = (why: object, exitCode: number) => {
    ending++;
    const atOnce = ending > 1;
    logger.info(why, atOnce ? "ending at once" : "draining");
    const graceMs = loaded.serve.drain.maxWaitSeconds * 1000;
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
  // Before it serves a signal would end the process; it is answered once it does.
  const reload = new ReloadOnChange({
    read: (onFile) => read(file, onFile),
    apply: async (fresh) => (await starting).reload(fresh),
    files,
    intervalMs: loaded.auth.watchIntervalMs,
    logger,
  });
  process.on("SIGHUP", () => void reload.reload("SIGHUP"));
  await starting;
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
