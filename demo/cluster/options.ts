import { parseArgs } from "node:util";
import { UsageError } from "../options.js";

/** The command line of the demo of several gateways. */
export interface ClusterOptions {
  /** One round, nothing but the run, for scripts. Else round after round until it is interrupted. */
  readonly once: boolean;
  /** The last line of each round is one JSON object. */
  readonly json: boolean;
  /** A nats-server from outside, for this demo alone; undefined: one is started. */
  readonly nats: string | undefined;
  /** A MongoDB server from outside; undefined: one that speaks its protocol is started. */
  readonly mongo: string | undefined;
  /** Folder for the picture and the evidence; undefined: `recordings/<time>`. */
  readonly out: string | undefined;
  /** Calls of a round, 12 to 100. Default 20. */
  readonly calls: number;
}

/** What `--help` prints. */
export const CLUSTER_HELP = `npm run demo:cluster -- [options]

Two gateways on one NATS with contexts in MongoDB, agents on gRPC at both and one on NATS, 20 calls. In the middle the
database is killed, then a gateway (SIGKILL). What every caller heard, the event log and the contexts are checked from
outside. Everything runs on this machine, without network or telephone.

  --once         one round, for scripts; else round after round until Ctrl-C
  --json         the last line of a round is one JSON object with the result
  --nats URL     a nats-server with JetStream that nothing else uses   (default: one is started)
  --mongo URL    a MongoDB server; a database of its own is made and dropped there, and the server "dies" by
                 cutting the connection to it   (default: a server of its protocol is started, by java and mvn)
  --calls N      calls of a round, 12 to 100   (default: 20)
  --out DIR      where cluster.svg and result.json go   (default: recordings/<time>)
  --help         this text

Exit status 0: everything was as it has to be. That a gateway's calls can be claimed by another is assumption A1
(docs/limits.md): so does the simulated provider.`;

/**
 * Reads the command line.
 * @throws UsageError with what is wrong
 * @returns "help" when that was asked for
 */
export function parseClusterOptions(args: readonly string[]): ClusterOptions | "help" {
  const { values } = parsed(args);
  if (values.help) return "help";
  const calls = Number(values.calls);
  if (!Number.isInteger(calls) || calls < 12 || calls > 100)
    throw new UsageError("--calls: a whole number from 12 to 100");
  return {
    once: values.once,
    json: values.json,
    nats: urlOf("--nats", values.nats, ["nats:", "tls:"]),
    mongo: urlOf("--mongo", values.mongo, ["mongodb:"]),
    out: values.out,
    calls,
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        once: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        nats: { type: "string" },
        mongo: { type: "string" },
        calls: { type: "string", default: "20" },
        out: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** A URL of one host. Its text is not repeated: it may hold a password. */
function urlOf(name: string, text: string | undefined, protocols: readonly string[]): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !protocols.includes(url.protocol) || url.hostname === "" || url.host.includes(","))
    throw new UsageError(`${name}: ${protocols.map((one) => `${one}//HOST:PORT`).join(" or ")}, one host`);
  return text;
}
