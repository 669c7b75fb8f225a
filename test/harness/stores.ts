import { afterAll } from "vitest";
import { type MongoTestServer, outsideMongo, startMongo } from "./mongo.js";
import { type NatsTestServer, startNats } from "./nats.js";

/** Configuration keys of a stack whose events and contexts are on servers, and how to end those. */
export interface ServerStores {
  readonly nats: object;
  readonly contexts: object;
  stop(): Promise<void>;
}

/** True when the stacks of this run use NATS and MongoDB: CALLWEAVE_TEST_STORES=servers. Else the embedded stores. */
export const USES_SERVERS = process.env.CALLWEAVE_TEST_STORES === "servers";

let mongo: Promise<MongoTestServer> | undefined;
let databases = 0;

if (USES_SERVERS) {
  // One database server for the tests of a file; a database of its own for each stack.
  afterAll(async () => {
    await (await mongo)?.stop();
    mongo = undefined;
  });
}

/** A nats-server of its own and a database of its own. */
export async function startServerStores(): Promise<ServerStores> {
  const nats: NatsTestServer = await startNats();
  const outside = outsideMongo();
  mongo ??= outside ? undefined : startMongo();
  const url = outside ?? ((await mongo) as MongoTestServer).url;
  return {
    nats: { urls: [nats.url] },
    contexts: { mongodb: { url, database: `stack_${process.pid}_${++databases}` } },
    stop: () => nats.stop(),
  };
}
