import { describeGateways, type GatewayConfig, memberId } from "../config/index.js";
import { systemClock } from "../util/clock.js";
import type { Logger } from "../util/logger.js";
import { startMember } from "./member-process.js";
import { Supervisor } from "./supervisor.js";

/**
 * Runs the gateways of the configuration, each a process of its own, until SIGTERM or SIGINT; ends this process with them.
 * `id` is the name that theirs are made from.
 */
export async function supervise(config: GatewayConfig, id: string, logger: Logger): Promise<never> {
  logger.info({}, describeGateways(config));
  const args = process.argv.slice(2);
  const supervisor = new Supervisor({
    gateways: config.serve.gateways,
    restart: config.serve.restart,
    start: (number, news) => startMember({ args, id }, number, news),
    idOf: (number) => memberId(id, number),
    clock: systemClock,
    logger,
  });
  process.on("SIGTERM", (signal) => supervisor.end({ signal }));
  process.on("SIGINT", (signal) => supervisor.end({ signal }));
  process.on("SIGHUP", () => supervisor.reload());
  // While all wait to be started again nothing else keeps this process.
  const alive = setInterval(() => {}, 2 ** 30);
  supervisor.start();
  const code = await supervisor.done;
  clearInterval(alive);
  process.exit(code);
}
