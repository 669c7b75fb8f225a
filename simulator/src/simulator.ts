import type { SimCall } from "./call.js";
import { waitForCondition } from "./call-wait.js";
import type { SimClock } from "./clock.js";
import type { SimFaults } from "./faults/sim-faults.js";
import type { ConnectorOptions, PlaceCallOptions, SimulatorOptions } from "./options.js";
import type { ControlConnection } from "./plane/control-connection.js";
import type { ControlPlane } from "./plane/control-plane.js";
import { type ListenOptions, ProviderServer } from "./plane/server.js";
import { SimulatorCore } from "./simulator-core.js";
import type { FrameTicker } from "./ticker.js";

/** Counted over the life of a simulator. */
export interface SimulatorStats {
  readonly callsPlaced: number;
  readonly controlConnections: number;
  readonly controlRefused: number;
  readonly mediaRefused: number;
  /** 20 ms frames skipped because the process stalled for more than a second. */
  readonly skippedFrames: number;
}

/** Telcoflow's server side: connectors, calls, both WebSockets and REST on one port. */
export class Simulator {
  /** Base URL for clients, such as `ws://127.0.0.1:41234`. */
  readonly url: string;
  /** The same with an HTTP scheme. */
  readonly httpUrl: string;
  readonly port: number;
  readonly clock: SimClock;
  /** Faults of the control connections and the server; a call has its own. */
  readonly faults: SimFaults;
  readonly options: SimulatorOptions;
  readonly #server: ProviderServer<ConnectorOptions, SimCall>;
  readonly #plane: ControlPlane;
  readonly #ticker: FrameTicker;
  readonly #calls: Map<string, SimCall>;
  readonly #waiters: Set<() => void>;
  readonly #counts: { -readonly [key in keyof SimulatorStats]: number };

  /** Starts a simulator that listens when the promise resolves. */
  static async start(options: SimulatorOptions = {}): Promise<Simulator> {
    const core = new SimulatorCore(options);
    const listen: ListenOptions = {
      host: options.host ?? "127.0.0.1",
      port: options.port ?? 0,
      tls: options.tls,
      maxPayloadBytes: options.maxPayloadBytes ?? 4 * 1024 * 1024,
    };
    const server = new ProviderServer<ConnectorOptions, SimCall>(core, listen);
    const port = await server.listen(listen);
    const host = listen.host === "0.0.0.0" || listen.host === "::" ? "127.0.0.1" : listen.host;
    return new Simulator(core, server, `${options.tls ? "wss" : "ws"}://${host}:${port}`, port);
  }

  private constructor(
    core: SimulatorCore,
    server: ProviderServer<ConnectorOptions, SimCall>,
    url: string,
    port: number,
  ) {
    core.simulator = this;
    this.url = url;
    this.httpUrl = url.replace(/^ws/, "http");
    this.port = port;
    this.clock = core.clock;
    this.faults = core.faults;
    this.options = core.options;
    this.#server = server;
    this.#plane = core.plane;
    this.#ticker = core.ticker;
    this.#calls = core.calls;
    this.#waiters = core.waiters;
    this.#counts = core.counts;
    this.#core = core;
  }

  readonly #core: SimulatorCore;

  /** Calls, oldest first: those that live and the last that ended. */
  get calls(): readonly SimCall[] {
    return [...this.#calls.values()];
  }

  /** Control connections that are set up. */
  get connections(): readonly ControlConnection[] {
    return this.#plane.connections;
  }

  /** WhatsApp messages the agents sent. */
  get sentMessages(): readonly { readonly sessionId: string; readonly data: unknown }[] {
    return this.#plane.sentMessages;
  }

  get stats(): SimulatorStats {
    return { ...this.#counts, skippedFrames: this.#ticker.skippedFrames };
  }

  /** Places a call from outside. It rings until somebody takes it. */
  placeCall(options: PlaceCallOptions = {}): SimCall {
    return this.#core.placeCall(options);
  }

  /** A WhatsApp message comes in: the session is notified, the message follows `session.ready`. Returns the session's id. */
  receiveMessage(from: string, content: unknown, connectorUuid?: string): string {
    const uuid = connectorUuid ?? this.#core.firstConnector.uuid;
    const open = this.#plane.sessions.findOpen(uuid, "WA", from);
    const session = open ?? this.#plane.createSession(uuid, "WA", "CONNECTOR", from);
    this.#core.queueMessage(session, content);
    return session.id;
  }

  /** Resolves when so many control connections (default 1) of a connector (default: any) are set up. Rejects after 10 s. */
  waitForConnections(
    options: { count?: number; connectorUuid?: string; timeoutMs?: number } = {},
  ): Promise<void> {
    const count = options.count ?? 1;
    const present = () =>
      this.connections.filter(
        ({ connectorUuid }) => !options.connectorUuid || connectorUuid === options.connectorUuid,
      ).length;
    return this.waitUntil(() => present() >= count, {
      timeoutMs: options.timeoutMs,
      what: `${count} control connection(s)`,
    });
  }

  /** Resolves when `predicate` holds (looked at every 20 ms); rejects after `timeoutMs`, default 10000. */
  waitUntil(
    predicate: () => boolean,
    options: { timeoutMs?: number | undefined; what?: string } = {},
  ): Promise<void> {
    return waitForCondition(this.clock, this.#waiters, predicate, {
      timeoutMs: options.timeoutMs ?? 10_000,
      explain: () => `the simulator did not see ${options.what ?? "the condition"}`,
    });
  }

  /** Ends all calls and connections and stops listening. */
  async stop(): Promise<void> {
    for (const call of this.calls) call.end("simulator_stopped", "FORCE_CLOSE");
    this.#ticker.stop();
    await this.#server.close();
  }
}
