import { Command } from "commander";
import { pino } from "pino";
import {
  ConfigError,
  describeServing,
  explainRoute,
  type GatewayConfig,
  loadConfig,
  printConfig,
} from "./config/index.js";
import { startGateway, VERSION } from "./serve.js";

const program = new Command("callweave")
  .description("Phone calls as one gRPC contract")
  .version(VERSION)
  .showHelpAfterError();

program
  .command("serve")
  .description("run the gateway until SIGTERM or SIGINT; a second signal ends it at once")
  .option("--config <file>", "configuration file (default: callweave.yaml if there is one)")
  .option("--port <port>", "listen here instead, 0 for any free port", Number)
  .action(async (options: { config?: string; port?: number }) => {
    await serve(withPort(load(options.config), options.port));
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

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
});

function load(file: string | undefined): GatewayConfig {
  try {
    return loadConfig({ ...(file ? { file } : {}), env: process.env, cwd: process.cwd() });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exit(2);
  }
}

function withPort(loaded: GatewayConfig, port: number | undefined): GatewayConfig {
  if (port === undefined) return loaded;
  return { ...loaded, gateway: { ...loaded.gateway, grpc: { ...loaded.gateway.grpc, port } } };
}

async function serve(loaded: GatewayConfig): Promise<void> {
  const logger = pino({
    level: loaded.serve.logLevel,
    redact: ["*.token", "*.apiKey", "*.api_key", "*.authorization", "token", "authorization"],
  });
  for (const line of describeServing(loaded)) logger.info(line);
  const running = await startGateway(loaded, logger);
  let signals = 0;
  let over: Promise<void> | undefined;
  const end = (signal: NodeJS.Signals) => {
    signals++;
    if (signals === 1) {
      const graceMs = loaded.serve.drain.maxWaitSeconds * 1000;
      logger.info({ signal, calls: running.gateway.callCount }, "draining");
      over = running.drain(graceMs);
    } else {
      logger.warn({ signal }, "ending at once");
      over = running.stop();
    }
    over.then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: String(error) }, "did not end cleanly");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
}
