import { afterEach } from "vitest";
import {
  type Logger,
  TelcoflowConnector,
  type TelcoflowOptions,
} from "../../gateway/src/telephony/telcoflow/index.js";
import type {
  CallLeg,
  CallLegHandler,
  CallNotice,
  ConnectorHandler,
  IncomingCall,
  PlaybackSource,
} from "../../gateway/src/telephony/telephony.js";
import { DEFAULT_CONNECTOR, Simulator, type SimulatorOptions } from "../../simulator/src/index.js";

/** Waits until `check` holds, looking every 5 ms; rejects naming `what` after `timeoutMs`. */
export async function until(check: () => boolean, what: string, timeoutMs = 15_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!check()) {
    if (performance.now() > end) throw new Error(`not seen in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Agent audio to be played, as one growing queue. */
export class QueuePlayback implements PlaybackSource {
  flush = false;
  private queue = Buffer.alloc(0);
  private readSoFar = 0;

  add(pcm: Uint8Array): void {
    this.queue = Buffer.concat([this.queue, pcm]);
  }

  get readBytes(): number {
    return this.readSoFar;
  }

  available(): number {
    return this.queue.length & ~1;
  }

  read(target: Uint8Array, offset: number, maxBytes: number): number {
    const bytes = Math.min(maxBytes, this.available());
    target.set(this.queue.subarray(0, bytes), offset);
    this.queue = this.queue.subarray(bytes);
    this.readSoFar += bytes;
    return bytes;
  }

  flushTail(): boolean {
    return this.flush;
  }
}

/** A call as a test sees it: everything the leg told, in order. */
export class TestCall implements CallLegHandler {
  readonly told: string[] = [];
  readonly playback = new QueuePlayback();
  readonly heard = new Map<number, Buffer[]>();

  constructor(
    readonly call: IncomingCall,
    readonly leg: CallLeg,
  ) {
    leg.attach(this, this.playback);
  }

  play(pcm: Uint8Array): void {
    this.playback.add(pcm);
    this.leg.audioReady();
  }

  flush(): void {
    this.playback.flush = true;
    this.leg.audioReady();
  }

  heardOn(channel: number): Buffer {
    return Buffer.concat(this.heard.get(channel) ?? []);
  }

  has(line: string): boolean {
    return this.told.includes(line);
  }

  onAudio(channel: number, pcm: Uint8Array): void {
    const chunks = this.heard.get(channel) ?? [];
    chunks.push(Buffer.from(pcm));
    this.heard.set(channel, chunks);
  }

  onTerminated(): void {
    this.told.push("terminated");
  }

  onMediaLost(detail: string): void {
    this.told.push("media lost", `media lost: ${detail}`);
  }

  onMediaRestored(): void {
    this.told.push("media restored");
  }

  onSessionClosed(reason: string): void {
    this.told.push(`session closed: ${reason}`);
  }

  onProviderError(code: string): void {
    this.told.push(`error: ${code}`);
  }
}

/** A connector with a handler that claims everything, unless told otherwise, and writes down what it hears. */
export class TestGateway implements ConnectorHandler {
  readonly calls: TestCall[] = [];
  readonly lost: { readonly notice: CallNotice; readonly reason: string }[] = [];
  readonly notices: CallNotice[] = [];
  readonly readiness: boolean[] = [];
  readonly log: string[] = [];
  readonly connector: TelcoflowConnector;
  policy = { claim: true, delayMs: 0 };

  constructor(url: string, options: Partial<TelcoflowOptions> = {}) {
    const write = (level: string) => (fields: object, message: string) => {
      this.log.push(`${level} ${message} ${JSON.stringify(fields)}`);
    };
    const log: Logger = {
      debug: write("debug"),
      info: write("info"),
      warn: write("warn"),
      error: write("error"),
    };
    this.connector = new TelcoflowConnector(
      {
        name: "main",
        baseUrl: url,
        auth: { apiKey: DEFAULT_CONNECTOR.apiKey, connectorUuid: DEFAULT_CONNECTOR.uuid },
        reconnect: { minMs: 50, maxMs: 500, factor: 1.5, jitter: 0.2, stableMs: 30_000 },
        ...options,
      },
      { log },
    );
  }

  /** A gateway that is signed in. */
  static async started(simulator: Simulator, options: Partial<TelcoflowOptions> = {}): Promise<TestGateway> {
    const gateway = new TestGateway(simulator.url, options);
    await gateway.connector.start(gateway);
    return gateway;
  }

  get counters() {
    return this.connector.counters;
  }

  /** The call number `index` (from 0), once it is there. */
  async call(index = 0): Promise<TestCall> {
    await until(() => this.calls.length > index, `call ${index} at the gateway`);
    return this.calls[index] as TestCall;
  }

  claim(notice: CallNotice) {
    this.notices.push(notice);
    return this.policy;
  }

  onCall(call: IncomingCall, leg: CallLeg): void {
    this.calls.push(new TestCall(call, leg));
  }

  onCallLost(notice: CallNotice, reason: string): void {
    this.lost.push({ notice, reason });
  }

  onReady(ready: boolean): void {
    this.readiness.push(ready);
  }
}

/** Bytes that look like noise, the same for the same seed. */
export function noiseBytes(length: number, seed = 1): Buffer {
  const out = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    out[i] = state & 0xff;
  }
  return out;
}

/** What is to be stopped after the test, newest first. */
export const stops: (() => Promise<unknown>)[] = [];

/** Ends after each test what it began; call once in a test file that uses the functions below. */
export function stopAfterEach(): void {
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });
}

/** A simulator that is stopped after the test. */
export async function simulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const made = await Simulator.start(options);
  stops.push(() => made.stop());
  return made;
}

/** A signed-in gateway that is stopped after the test. */
export async function gateway(sim: Simulator, options: ConstructorParameters<typeof TestGateway>[1] = {}) {
  const made = await TestGateway.started(sim, options);
  stops.push(() => made.connector.stop());
  return made;
}

/** A simulator, a gateway and an answered call. */
export async function answered(
  simOptions: SimulatorOptions = {},
  call: Parameters<Simulator["placeCall"]>[0] = {},
  options: ConstructorParameters<typeof TestGateway>[1] = {},
) {
  const sim = await simulator(simOptions);
  const gw = await gateway(sim, options);
  const simCall = sim.placeCall(call);
  const ours = await gw.call();
  await ours.leg.answer();
  return { sim, gw, simCall, ours };
}
