import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { startMongo } from "../../test/harness/mongo.js";
import { freePort, startNats } from "../../test/harness/nats.js";
import { type Child, pin } from "../child.js";
import { sleep } from "../clock.js";
import type { SaveReport } from "../processes/context-saver.js";
import type { ProviderTimes } from "../processes/media-call.js";
import {
  type Generator,
  gatewayConfig,
  gatewayOptions,
  HARNESS_CORE,
  measure,
  PLACE_EVERY_MS,
  program,
  type Start,
  withChildren,
} from "../run.js";
import type { Pair, PairOptions, SideResult } from "./pair.js";

/** What a side is made of. */
interface Shape {
  /** Gateways; each has the connector, and the calls of `PairOptions` times their number where all of them claim. */
  readonly gateways: 1 | 2;
  /** Where agents are: at which gateway by gRPC, or on NATS. */
  readonly agents: readonly (0 | 1 | "nats")[];
  /** Gateways that claim nothing. */
  readonly claimless?: readonly number[];
  /** With MongoDB instead of the embedded store for contexts. */
  readonly mongo?: boolean;
  /** Contexts written a second in the window. */
  readonly savesPerSecond?: number;
  /** Browsers that listen, each to a call. */
  readonly desks?: number;
}

/** Each pair: what is known, and what is new beside it. */
export const PAIRS: readonly Pair[] = [
  {
    name: "nats-agent",
    title: "an agent on NATS against one on gRPC",
    sides: [
      { name: "on gRPC", run: (options) => runSide("on gRPC", { gateways: 1, agents: [0] }, options) },
      { name: "on NATS", run: (options) => runSide("on NATS", { gateways: 1, agents: ["nats"] }, options) },
    ],
  },
  {
    name: "two-gateways",
    title: "two gateways with twice the calls against one",
    maxCpuRatio: 1.1,
    sides: [
      { name: "one", run: (options) => runSide("one", { gateways: 1, agents: [0] }, options) },
      { name: "two", run: (options) => runSide("two", { gateways: 2, agents: [0, 1] }, options) },
    ],
  },
  {
    name: "relayed-agent",
    title: "an agent at another gateway than its calls against one at the same",
    sides: [
      {
        name: "same gateway",
        run: (options) => runSide("same gateway", { gateways: 2, agents: [0], claimless: [1] }, options),
      },
      {
        name: "other gateway",
        run: (options) => runSide("other gateway", { gateways: 2, agents: [1], claimless: [1] }, options),
      },
    ],
  },
  {
    name: "context-saves",
    title: "200 context saves a second against none",
    sides: [
      { name: "none", run: (options) => runSide("none", { gateways: 1, agents: [0], mongo: true }, options) },
      {
        name: "200 a second",
        run: (options) =>
          runSide("200 a second", { gateways: 1, agents: [0], mongo: true, savesPerSecond: 200 }, options),
      },
    ],
  },
  {
    name: "desks",
    title: "20 desks that listen against none",
    sides: [
      { name: "none", run: (options) => runSide("none", { gateways: 1, agents: [0] }, options) },
      {
        name: "20 desks",
        run: (options) => runSide("20 desks", { gateways: 1, agents: [0], desks: 20 }, options),
      },
    ],
  },
];

async function runSide(side: string, shape: Shape, options: PairOptions): Promise<SideResult> {
  const folder = await mkdtemp(join(tmpdir(), "callweave-bench-"));
  const nats = await startNats();
  const mongo = shape.mongo ? await startMongo().catch(stopping(nats)) : undefined;
  try {
    const servers = [nats.pid, ...(mongo ? [mongo.pid] : [])];
    for (const pid of servers) pin(pid, HARNESS_CORE);
    return await withChildren(async (start) => {
      const generator: Generator = await start({ name: "load generator", args: program("load-generator") });
      const { port } = await generator.ready;
      const extra: Record<string, object> & { desk?: { port: number } } = {
        nats: { urls: [nats.url] },
        ...(mongo ? { contexts: { mongodb: { url: mongo.url } } } : {}),
        ...(shape.desks ? { desk: { port: await freePort() } } : {}),
      };
      const gateways: Child<number>[] = [];
      for (let index = 0; index < shape.gateways; index++)
        gateways.push(
          await startGateway(start, folder, port, index, extra, shape.claimless?.includes(index) ?? false),
        );
      await generator.ask("waitForControls", { count: shape.gateways });
      const agents = await startAgents(start, gateways, nats.url, shape, 2 * options.calls);
      const saver =
        shape.savesPerSecond === undefined ? undefined : await startSaver(start, await gateways[0]!.ready);
      // Free places go round with the beats of gateways.
      await sleep(BEATS_MS);
      const calls = options.calls * (shape.gateways - (shape.claimless?.length ?? 0));
      const placed = await generator.ask<ProviderTimes[]>("placeCalls", {
        count: calls,
        everyMs: PLACE_EVERY_MS,
      });
      const callIds = placed.map(({ callId }) => callId);
      const desks = shape.desks
        ? await startDesks(start, extra.desk?.port ?? 0, callIds, shape.desks)
        : undefined;
      await saver?.ask("start", { callIds, perSecond: shape.savesPerSecond });
      await sleep(options.warmUpSeconds * 1000);
      await saver?.ask("reset");
      const parts = {
        subjects: gateways,
        generator,
        agents: [...agents, ...(saver ? [saver] : []), ...(desks ? [desks] : [])],
        servers,
      };
      const window = await measure({ calls, seconds: options.seconds, warmUpSeconds: 0 }, parts);
      await allHeard(desks);
      const claims = await generator.ask<number[]>("claims");
      const saves = saver && (await saver.ask<SaveReport>("stop"));
      return { side, ...window, claims, ...(saves ? { saves } : {}) };
    });
  } finally {
    await mongo?.stop();
    await nats.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const BEATS_MS = 1_200;

function stopping(server: { stop(): Promise<void> }) {
  return async (error: unknown): Promise<never> => {
    await server.stop();
    throw error;
  };
}

async function startGateway(
  start: Start,
  folder: string,
  port: number,
  index: number,
  extra: object,
  claimless: boolean,
): Promise<Child<number>> {
  const id = `bench-${index + 1}`;
  const config = gatewayConfig(join(folder, id), port, id) as { connectors: object[] };
  const connectors = config.connectors.map((one) => ({ ...one, ...(claimless ? { inbound: false } : {}) }));
  const file = join(folder, `${id}.yaml`);
  await writeFile(file, stringify({ ...config, connectors, ...extra }));
  return start<number>({ name: id, ...gatewayOptions(file, []) });
}

async function startAgents(
  start: Start,
  gateways: readonly Child<number>[],
  natsUrl: string,
  { agents }: Shape,
  calls: number,
): Promise<Child<unknown>[]> {
  const started: Child<unknown>[] = [];
  for (const at of agents) {
    const address = at === "nats" ? natsUrl : `127.0.0.1:${await gateways[at]!.ready}`;
    // Each could take all calls, so that none is refused for want of a place.
    const args = [...program("echo-agent"), address, String(calls + 1), "1", "each"];
    started.push(await start({ name: "agent", args }));
  }
  return started;
}

function startSaver(start: Start, port: number): Promise<Child<unknown>> {
  return start({ name: "saver", args: [...program("context-saver"), `127.0.0.1:${port}`] });
}

async function startDesks(
  start: Start,
  port: number,
  callIds: readonly string[],
  count: number,
): Promise<Child<unknown>> {
  const desks = await start({ name: "desks", args: [...program("desks"), String(port)] });
  await desks.ask("listen", { callIds, count });
  return desks;
}

/** Desks that heard nothing, or less than was there, would make the figures worthless. */
async function allHeard(desks: Child<unknown> | undefined): Promise<void> {
  if (!desks) return;
  const { audio, gaps, ended } = await desks.ask<{ audio: number; gaps: number; ended: number }>("heard");
  if (audio === 0 || gaps > 0 || ended > 0)
    throw new Error(`desks heard ${audio} messages, ${gaps} gaps, ${ended} ended`);
}
