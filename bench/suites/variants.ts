import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { issueCertificate, makeAuthority } from "../../test/harness/certificates.js";
import { sdkPython } from "../../test/sdk-proof/venv.js";
import { bundle } from "../bundle.js";
import type { Child } from "../child.js";
import { sleep } from "../clock.js";
import { FROZEN_FOLDER } from "../frozen.js";
import { GATEWAY_CORE, gatewayConfig, plainGatewayOptions, type Start, withChildren } from "../run.js";
import { type Generator, measureWindow, type WindowResult } from "../window.js";
import type { AgentCounters, AgentShape, ClientLanguage, Harness } from "./harness.js";

/** How much, and how long. */
export interface Load {
  readonly calls: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** One run of a variant. */
export interface VariantRun extends WindowResult {
  readonly variant: VariantName;
  readonly calls: number;
  readonly agent?: AgentCounters;
}

/** Names of what is measured; `VARIANTS` says what they are. */
export type VariantName =
  | "baseline"
  | "relay"
  | "sdk"
  | "gateway"
  | "gateway-1"
  | "one-connection"
  | "simple"
  | "together"
  | "tls"
  | "round-trip-20"
  | ClientVariantName;

/** An agent on a client library, with up to four streams or with one. */
export type ClientVariantName = `client-${ClientLanguage}` | `client-${ClientLanguage}-1`;

/** Something that is measured. */
export interface Variant {
  readonly name: VariantName;
  /** For tables and charts. */
  readonly title: string;
  /** A gateway: for it frames are promised. */
  readonly own: boolean;
  /** What starting and ending it takes, without its calls, in seconds. For estimates. */
  readonly overheadSeconds: number;
  /** Between two new calls, in ms. */
  readonly placeEveryMs: number;
  run(harness: Harness, load: Load, nodeArgs?: readonly string[]): Promise<VariantRun>;
}

const PLACE_EVERY_MS = 10;
/** The SDK takes a while for each. */
const SDK_PLACE_EVERY_MS = 25;
/** The load generator asks the SDK for audio as performance measurements of it always did: once for each 50 frames. */
const SDK_CREDIT = ["--first-credit", "100", "--refill", "50"];
const ROUND_TRIP_MS = 20;

/** All variants. */
export const VARIANTS: readonly Variant[] = [
  { ...simple("baseline", "no gateway: the agent alone", 1, runBaseline), placeEveryMs: 1 },
  { ...simple("relay", "bare relay", 2, runRelay), placeEveryMs: 2 },
  { ...simple("sdk", "vendor's SDK, patched", 4, runSdk), placeEveryMs: SDK_PLACE_EVERY_MS },
  gateway("gateway", "Callweave, four streams", { streams: 4 }),
  gateway("gateway-1", "Callweave, one stream", { streams: 1 }),
  gateway("one-connection", "four streams on one connection", { streams: 4, oneConnection: true }),
  gateway("simple", "simple form: a stream for each call", { streams: 1, simple: true }),
  gateway("together", "four streams, answers together", { streams: 4, together: true }),
  gateway("tls", "four streams, TLS", { streams: 4 }, { tls: true }),
  gateway(
    "round-trip-20",
    "four streams, 20 ms of round trip",
    { streams: 4 },
    { roundTripMs: ROUND_TRIP_MS },
  ),
  ...client("typescript", "TypeScript"),
  ...client("go", "Go"),
  ...client("python", "Python"),
];

/** The variant of that name. */
export function variantOf(name: VariantName): Variant {
  return VARIANTS.find((variant) => variant.name === name)!;
}

/** What one run takes, in seconds. */
export function runSeconds(variant: Variant, { calls, warmUpSeconds, seconds }: Load): number {
  return variant.overheadSeconds + (calls * variant.placeEveryMs) / 1000 + warmUpSeconds + seconds + 1.5;
}

type Body = (
  start: Start,
  harness: Harness,
  load: Load,
  nodeArgs: readonly string[],
) => Promise<Omit<VariantRun, "variant" | "calls">>;

function simple(
  name: VariantName,
  title: string,
  overheadSeconds: number,
  body: Body,
): Omit<Variant, "placeEveryMs"> {
  return {
    name,
    title,
    own: false,
    overheadSeconds,
    run: async (harness, load, nodeArgs = []) => ({
      variant: name,
      calls: load.calls,
      ...(await withChildren((start) => body(start, harness, load, nodeArgs))),
    }),
  };
}

interface GatewayShape {
  readonly tls?: boolean;
  readonly roundTripMs?: number;
}

function gateway(
  name: VariantName,
  title: string,
  agent: Omit<AgentShape, "capacity">,
  shape: GatewayShape = {},
): Variant {
  const body: Body = (start, harness, load, nodeArgs) =>
    inFolder((folder) => runGateway(start, harness, load, { agent, shape, folder, nodeArgs }));
  return { ...simple(name, title, 5, body), own: true, placeEveryMs: PLACE_EVERY_MS };
}

function client(language: ClientLanguage, title: string): Variant[] {
  return [
    gateway(`client-${language}`, `client for ${title}, four streams`, { client: language, streams: 4 }),
    gateway(`client-${language}-1`, `client for ${title}, one stream`, { client: language, streams: 1 }),
  ];
}

async function inFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "callweave-bench-"));
  try {
    return await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function runBaseline(start: Start, harness: Harness, load: Load) {
  const generator = await harness.generator(start);
  const agent = await harness.webSocketEcho(start, await urlOf(generator), load.calls);
  await generator.ask("waitForFloor", { count: load.calls });
  return warmAndMeasure(load, { subjects: [], generator, agents: [agent] });
}

async function runRelay(start: Start, harness: Harness, load: Load) {
  const generator = await harness.generator(start);
  const agent = await harness.tcpEcho(start);
  const relay = await start({
    name: "relay",
    core: GATEWAY_CORE,
    program: process.execPath,
    args: [
      join(FROZEN_FOLDER, "floor-relay.mjs"),
      await urlOf(generator),
      String(load.calls),
      String((await agent.ready).port),
    ],
  });
  await generator.ask("waitForFloor", { count: load.calls });
  return warmAndMeasure(load, { subjects: [relay], generator, agents: [agent] });
}

async function runSdk(start: Start, harness: Harness, load: Load) {
  const generator = await harness.generator(start, SDK_CREDIT);
  const agent = await startSdk(start, generator, []);
  await placeCalls(generator, load.calls, SDK_PLACE_EVERY_MS);
  return warmAndMeasure(load, { subjects: [agent], generator, agents: [] });
}

/** The SDK is agent and gateway in one, so it runs on the core of what is measured. */
async function startSdk(
  start: Start,
  generator: Generator,
  args: readonly string[],
): Promise<Child<unknown>> {
  const sdk = await sdkPython();
  if ("skip" in sdk) throw new Error(sdk.skip);
  const agent = await start({
    name: "SDK",
    core: GATEWAY_CORE,
    program: sdk.python,
    args: [join(FROZEN_FOLDER, "sdk_echo.py"), await urlOf(generator), ...args],
    env: { ...process.env, no_proxy: "*", NO_PROXY: "*" },
  });
  await generator.ask("waitForControls", { count: 1 });
  return agent;
}

/** How many of so many calls the SDK takes as it is installed, without the patch, and the versions of what it runs on. */
export async function unpatchedSdk(harness: Harness, calls: number): Promise<SdkLimit> {
  const sdk = await sdkPython();
  if ("skip" in sdk) throw new Error(sdk.skip);
  const names = ["telcoflow", "abxbus", "websockets"];
  const print = `import importlib.metadata as m; print("\\n".join(m.version(n) for n in ${JSON.stringify(names)}))`;
  const versions = execFileSync(sdk.python, ["-c", print], { encoding: "utf8" }).trim().split("\n");
  return withChildren(async (start) => {
    const generator = await harness.generator(start, SDK_CREDIT);
    await startSdk(start, generator, ["--unpatched"]);
    const { answered } = await generator.ask<{ answered: number }>("answeredCalls", {
      count: calls,
      everyMs: SDK_PLACE_EVERY_MS,
      withinMs: 10_000,
    });
    return { placed: calls, answered, versions: names.map((name, i) => `${name} ${versions[i]}`) };
  });
}

/** What `unpatchedSdk` found. */
export interface SdkLimit {
  readonly placed: number;
  readonly answered: number;
  readonly versions: readonly string[];
}

interface GatewayParts {
  readonly agent: Omit<AgentShape, "capacity">;
  readonly shape: GatewayShape;
  readonly folder: string;
  readonly nodeArgs: readonly string[];
}

async function runGateway(start: Start, harness: Harness, load: Load, parts: GatewayParts) {
  const { folder, nodeArgs, shape } = parts;
  const generator = await harness.generator(start);
  const { port } = await generator.ready;
  const tls = shape.tls ? await certificates(folder) : undefined;
  const config = join(folder, "callweave.yaml");
  await writeFile(config, stringify(gatewayConfig(folder, port, "bench", tls ? { tls: tls.gateway } : {})));
  // A profile is written when the probe sees the main process go.
  const probe = nodeArgs.length > 0 ? bundle().probe : [];
  const gateway = await start<number>({
    name: "gateway",
    ...plainGatewayOptions(config, [...nodeArgs, ...probe]),
  });
  await generator.ask("waitForControls", { count: 1 });
  let address = `127.0.0.1:${await gateway.ready}`;
  if (shape.roundTripMs) {
    const network = await harness.delay(start, await gateway.ready, shape.roundTripMs / 2);
    address = `127.0.0.1:${(await network.ready).port}`;
  }
  const agent = await harness.agent(start, address, {
    capacity: load.calls,
    ...parts.agent,
    ...(tls ? { ca: tls.ca } : {}),
  });
  await placeCalls(generator, load.calls, PLACE_EVERY_MS);
  const window = await warmAndMeasure(load, { subjects: [gateway], generator, agents: [agent] });
  const counters = await agent.ask<AgentCounters>("counters");
  if (nodeArgs.length > 0) await gateway.leave();
  return { ...window, agent: counters };
}

async function certificates(folder: string) {
  await makeAuthority(folder, "ca");
  await issueCertificate(folder, "ca", "gateway", {
    subject: "127.0.0.1",
    extension: "subjectAltName=IP:127.0.0.1",
  });
  const path = (name: string) => join(folder, name);
  return {
    ca: path("ca.pem"),
    gateway: { cert_file: path("gateway.pem"), key_file: path("gateway.key") },
  };
}

async function urlOf(generator: Generator): Promise<string> {
  return `ws://127.0.0.1:${(await generator.ready).port}`;
}

async function placeCalls(generator: Generator, count: number, everyMs: number): Promise<void> {
  await generator.ask("placeCalls", { count, everyMs });
}

async function warmAndMeasure(load: Load, parts: Parameters<typeof measureWindow>[1]) {
  await sleep(load.warmUpSeconds * 1000);
  return measureWindow(load, parts);
}
