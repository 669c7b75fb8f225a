import type { SampleRate } from "./audio/mix.js";
import type { CallOptions } from "./call-types.js";
import type { SimClock } from "./clock.js";
import type { OrphanPolicy } from "./faults/orphan.js";
import type { CalleeBehaviour, Script } from "./party/script.js";
import type { CallFlow, Channel } from "./plane/messages.js";
import type { TlsOptions } from "./plane/server.js";

/** A customer's connector: what agents log in to. */
export interface ConnectorOptions {
  readonly uuid: string;
  /** Checked against `x-api-key`. Without it only a client certificate lets in. */
  readonly apiKey?: string;
  /** Common name of the client certificate that lets in (mTLS). */
  readonly certificateName?: string;
  /** The subscriber's number: `localAddress` of sessions, `to` of inbound calls. Default +15550100. */
  readonly localAddress?: string;
  /** `orgUuid` in `call.in`. Default: a fixed zero UUID. */
  readonly orgUuid?: string;
  /** What applies while no connection has sent `call_flow.setup`. Default: everything. */
  readonly callFlow?: CallFlow;
  /** Rate of calls whose parties talk before any claim. Default 16000; a claim uses its connection's rate. */
  readonly sampleRate?: SampleRate;
  /** Configured channels; others answer CHANNEL_NOT_CONFIGURED. Default both. */
  readonly channels?: readonly Channel[];
  /** Open sessions allowed; more answer QUOTA_EXCEEDED. Default no limit. */
  readonly maxSessions?: number;
}

/** Options of `Simulator.start`; those of {@link CallOptions} apply to every call. */
export interface SimulatorOptions extends CallOptions {
  /** Default: one connector, see {@link DEFAULT_CONNECTOR}. */
  readonly connectors?: readonly ConnectorOptions[];
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Base URL given out in `call.in`, such as `wss://simulator:8443`. Default: as the client called us. */
  readonly publicUrl?: string;
  /** Serve `wss:` and `https:`, with `clientCa` also mTLS. */
  readonly tls?: TlsOptions;
  /** Default: the process's clock. */
  readonly clock?: SimClock;
  /** A call whose connections died (assumption A1). Default `renotify`. */
  readonly orphan?: OrphanPolicy;
  /** How long after both connections died the policy acts, ms. Default 200. */
  readonly orphanDelayMs?: number;
  /**
   * How long after `setup.done` live calls are notified again, ms. Default 200: the vendor's SDK forgets its
   * old sessions just after `setup.done` and loses a notification that comes with it.
   */
  readonly renotifyDelayMs?: number;
  /** Lifetime of media tokens, seconds. Default 3600. */
  readonly tokenLifetimeSeconds?: number;
  /** Older clients (`x-sdk-version`), and those that send none, are refused with 426. Default: everyone is let in. */
  readonly minSdkVersion?: string;
  /** Largest frame taken from a client, bytes. Default 4 MiB. */
  readonly maxPayloadBytes?: number;
  /** Who is called by `session.create` and what they do. Default: the remote party picks up after 1 s. */
  readonly outbound?: (remoteAddress: string) => {
    readonly remote: CalleeBehaviour;
    readonly subscriber?: CalleeBehaviour | readonly CalleeBehaviour[];
  };
  /**
   * The course of an outbound call (assumption A3): `call.in` after the remote party picked up
   * (`ring_first`, default), or at once, and `call.answer` rings (`ring_on_answer`).
   */
  readonly outboundCourse?: "ring_first" | "ring_on_answer";
  /** MISSED_ONLY: how long the callee rings before the connector is notified, seconds. Default 20. */
  readonly missedRingSeconds?: number;
  /** Ended calls kept in `calls`, with their recordings. Default 100. */
  readonly keepEndedCalls?: number;
  /** Serve the control API of the CLI under `/simulator/v1/` (no authentication). Default false. */
  readonly adminApi?: boolean;
  /** Serve a page for people under `/`: to call, and to be called (no authentication, this machine alone). Default false. */
  readonly page?: boolean;
}

/** The connector of a simulator started without any. */
export const DEFAULT_CONNECTOR = {
  uuid: "00000000-0000-4000-8000-000000000001",
  apiKey: "simulator-key",
  localAddress: "+15550100",
} as const satisfies ConnectorOptions;

/** A call to place. */
export interface PlaceCallOptions {
  /** The connector called. Default: the first. */
  readonly connector?: string;
  /** The caller's number; empty when withheld. Default +15550101. */
  readonly from?: string;
  /** The number called. Default: the connector's. */
  readonly to?: string;
  /** What the caller does once somebody answers. Default: listens. */
  readonly caller?: Script;
  /** What the callee does when `call.connect` rings, attempt by attempt; the last repeats. Default: never picks up. */
  readonly callee?: CalleeBehaviour | readonly CalleeBehaviour[];
  /** Seed of everything random in the call. Default 1. */
  readonly seed?: number;
  /** The caller hangs up when nobody has answered after so many seconds. Default: waits for ever. */
  readonly patienceSeconds?: number;
  /** Overrides the simulator's own for this call. */
  readonly options?: CallOptions;
}
