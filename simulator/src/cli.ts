import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import type { CallReport, CallSpec } from "./admin.js";
import { RECORDING_TRACKS } from "./audio/recording.js";
import { parseOrphanPolicy } from "./faults/orphan.js";
import { type ConnectorOptions, DEFAULT_CONNECTOR, type SimulatorOptions } from "./options.js";
import { Simulator } from "./simulator.js";
import { parseCallee, parseFault } from "./spec.js";

const DEFAULT_PORT = 8090;
const POLL_MS = 200;

interface ServeFlags {
  host: string;
  port: number;
  connector: ConnectorOptions[];
  publicUrl?: string;
  playoutBufferMs: number;
  grantEveryMs: number;
  grantBelowMs?: number;
  ringback: boolean;
  orphan: string;
  tlsKey?: string;
  tlsCert?: string;
  tlsClientCa?: string;
  minSdkVersion?: string;
}

interface CallFlags extends ServeFlags {
  url?: string;
  serve: boolean;
  wav?: string;
  say: string[];
  from?: string;
  to?: string;
  uuid?: string;
  callee: string[];
  fault: string[];
  hangUpAfter?: number;
  patience?: number;
  seed?: number;
  out?: string;
  json: boolean;
}

function number(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new InvalidArgumentError("not a number from 0");
  return value;
}

function checked(parse: (text: string) => unknown) {
  return (text: string, before: string[]): string[] => {
    try {
      parse(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
    return [...before, text];
  };
}

function connector(text: string, before: ConnectorOptions[]): ConnectorOptions[] {
  const [uuid, apiKey, localAddress] = text.split(",");
  if (!uuid || !apiKey) throw new InvalidArgumentError("expected UUID,KEY or UUID,KEY,NUMBER");
  return [...before, { uuid, apiKey, ...(localAddress ? { localAddress } : {}) }];
}

function addServeOptions(command: Command): Command {
  return command
    .option("--host <address>", "address to bind", "127.0.0.1")
    .option("--port <port>", "port to bind; 0 takes a free one", number, DEFAULT_PORT)
    .option("--connector <uuid,key[,number]>", "a connector; may be repeated", connector, [])
    .option("--public-url <url>", "base URL given out for media connections")
    .option("--playout-buffer-ms <ms>", "play-out buffer of agent audio", number, 1000)
    .option("--grant-every-ms <ms>", "ask for audio in bursts, so often", number, 0)
    .option("--grant-below-ms <ms>", "ask late: only below so much buffered audio", number)
    .option("--ringback", "let callers hear ring-back tone", false)
    .option(
      "--orphan <policy>",
      "calls whose connections died: renotify, list_only, end_call, busy_for:SECONDS",
      "renotify",
    )
    .option("--tls-key <file>", "PEM key: serve wss and https")
    .option("--tls-cert <file>", "PEM certificate")
    .option("--tls-client-ca <file>", "PEM authority of client certificates (mTLS)")
    .option("--min-sdk-version <version>", "refuse older clients with 426");
}

async function startSimulator(flags: ServeFlags): Promise<Simulator> {
  const options: SimulatorOptions = {
    host: flags.host,
    port: flags.port,
    connectors: flags.connector,
    playoutBufferMs: flags.playoutBufferMs,
    grantEveryMs: flags.grantEveryMs,
    ringback: flags.ringback,
    orphan: parseOrphanPolicy(flags.orphan),
    adminApi: true,
    page: true,
    ...(flags.grantBelowMs !== undefined ? { grantBelowMs: flags.grantBelowMs } : {}),
    ...(flags.publicUrl ? { publicUrl: flags.publicUrl } : {}),
    ...(flags.minSdkVersion ? { minSdkVersion: flags.minSdkVersion } : {}),
    ...(flags.tlsKey && flags.tlsCert
      ? {
          tls: {
            key: await readFile(flags.tlsKey),
            cert: await readFile(flags.tlsCert),
            ...(flags.tlsClientCa ? { clientCa: await readFile(flags.tlsClientCa) } : {}),
          },
        }
      : {}),
  };
  return Simulator.start(options);
}

function announce(simulator: Simulator, flags: ServeFlags, print: (line: string) => void): void {
  print(`simulator: ${simulator.url}`);
  print(`page:      ${simulator.httpUrl}/ (be the caller, be the specialist)`);
  const connectors = flags.connector.length > 0 ? flags.connector : [DEFAULT_CONNECTOR];
  for (const { uuid } of connectors) print(`connector: ${uuid}`);
  if (flags.connector.length === 0) print(`API key:   ${DEFAULT_CONNECTOR.apiKey} (the default)`);
}

async function serve(flags: ServeFlags): Promise<void> {
  const simulator = await startSimulator(flags);
  announce(simulator, flags, console.log);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  await simulator.stop();
}

async function specOf(flags: CallFlags): Promise<CallSpec> {
  return {
    ...(flags.uuid ? { connector: flags.uuid } : {}),
    ...(flags.from !== undefined ? { from: flags.from } : {}),
    ...(flags.to ? { to: flags.to } : {}),
    ...(flags.wav ? { wavBase64: (await readFile(flags.wav)).toString("base64") } : {}),
    ...(flags.hangUpAfter !== undefined ? { hangUpAfterSeconds: flags.hangUpAfter } : {}),
    ...(flags.patience !== undefined ? { patienceSeconds: flags.patience } : {}),
    ...(flags.seed !== undefined ? { seed: flags.seed } : {}),
    say: flags.say,
    callee: flags.callee,
    faults: flags.fault,
  };
}

async function api<T>(base: string, path: string, init?: RequestInit): Promise<T> {
  const response = await fetch(`${base}/simulator/v1${path}`, init);
  const body = (await response.json()) as T & { message?: string };
  if (!response.ok) throw new Error(body.message ?? `HTTP ${response.status}`);
  return body;
}

async function call(flags: CallFlags): Promise<void> {
  const own = flags.serve ? await startSimulator(flags) : undefined;
  if (own) {
    // The report is to be the only thing on standard output.
    const print = flags.json ? console.error : console.log;
    announce(own, flags, print);
    print("waiting for a control connection");
    await own.waitForConnections({ timeoutMs: 24 * 3600 * 1000 });
  }
  const base = (own?.url ?? flags.url ?? `ws://127.0.0.1:${flags.port}`).replace(/^ws/, "http");
  try {
    const report = await follow(base, flags);
    if (flags.out) await saveRecording(base, report.id, flags.out);
    if (flags.out && !flags.json) console.log(`recording: ${flags.out}`);
    if (flags.json) console.log(JSON.stringify(report, null, 2));
    if (!report.events.some(({ type }) => type === "state.ANSWERED" || type === "state.CONNECTED"))
      process.exitCode = 1;
  } finally {
    await own?.stop();
  }
}

async function follow(base: string, flags: CallFlags): Promise<CallReport> {
  let report = await api<CallReport>(base, "/calls", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(await specOf(flags)),
  });
  const hangUp = () => void api(base, `/calls/${report.id}/hangup`, { method: "POST" }).catch(() => {});
  process.once("SIGINT", hangUp);
  process.once("SIGTERM", hangUp);
  let shown = 0;
  for (;;) {
    if (!flags.json)
      for (const event of report.events.slice(shown))
        console.log(`${(event.callMs / 1000).toFixed(2).padStart(8)} s  ${event.type}`);
    shown = report.events.length;
    if (report.state === "DISCONNECTED") break;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    report = await api<CallReport>(base, `/calls/${report.id}`);
  }
  if (!flags.json) console.log(`ended: ${report.endReason}`);
  return report;
}

async function saveRecording(base: string, id: string, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const track of RECORDING_TRACKS) {
    const response = await fetch(`${base}/simulator/v1/calls/${id}/recording/${track}.wav`);
    await writeFile(join(directory, `${track}.wav`), Buffer.from(await response.arrayBuffer()));
  }
}

const program = new Command("simulator").description("Plays Telcoflow's server side.");

addServeOptions(program.command("serve").description("listen until interrupted")).action(serve);

addServeOptions(
  program
    .command("call")
    .description("place a call and follow it until it ends; interrupt to hang up")
    .option("--url <url>", `a running \`serve\` (default ws://127.0.0.1:${DEFAULT_PORT})`)
    .option("--serve", "serve by itself, wait for a control connection, call, end", false)
    .option("--wav <file>", "the caller plays this file")
    .option("--say <text>", "the caller says this after the agent has spoken; may be repeated", append, [])
    .option("--from <number>", "caller's number")
    .option("--to <number>", "number called")
    .option("--uuid <uuid>", "connector called (default: the first)")
    .option(
      "--callee <behaviour>",
      "never, picks_up[:S], says[:S]:TEXT, rejects[:S], voicemail[:S], hangs_up[:S]; repeated: one per attempt",
      checked(parseCallee),
      [],
    )
    .option(
      "--fault <fault>",
      "NAME[@SECONDS][:ARGUMENT], see docs/simulator.md; may be repeated",
      checked(parseFault),
      [],
    )
    .option("--hang-up-after <seconds>", "hang up so long after the caller's last words", number)
    .option("--patience <seconds>", "hang up when not answered by then", number)
    .option("--seed <number>", "seed of noise", number)
    .option("--out <directory>", "write the recording there, one WAV per track")
    .option("--json", "print the final report as JSON only", false),
).action(call);

function append(text: string, before: string[]): string[] {
  return [...before, text];
}

program.parseAsync().catch((error: Error) => {
  console.error(`simulator: ${error.message}`);
  process.exitCode = 1;
});
