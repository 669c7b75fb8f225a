import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { BusCredentials, BusTls } from "./bus/nats-bus.js";
import type { GatewayConfig, NatsConfig } from "./config/config-types.js";
import { prepareCredentials } from "./connectors.js";
import type { CertificateView } from "./ops/ops-sources.js";
import type { Connector } from "./telephony/telephony.js";
import { checkPem, firstEndOf } from "./util/pem.js";

interface Own {
  readonly nats: NatsConfig | undefined;
  readonly natsTls: BusTls | undefined;
  readonly views: readonly CertificateView[];
}

/**
 * What this gateway shows to NATS and to its providers, and whom it trusts there. Connections take it when they are made:
 * what replaces it holds for the next ones.
 */
export class OwnCredentials {
  private now: Own;

  /** Throws, naming key and rule, when a file cannot be read or OpenSSL cannot use it. */
  constructor(config: GatewayConfig) {
    this.now = read(config);
  }

  /** PEM texts for the next connection to NATS; undefined without `nats.tls`. */
  get natsTls(): BusTls | undefined {
    return this.now.natsTls;
  }

  /** For the next connection to NATS; files of credentials and seeds are read at this moment. */
  async natsCredentials(): Promise<BusCredentials> {
    const { nats } = this.now;
    if (!nats) return { kind: "none" };
    if (nats.credentialsFile) return { kind: "creds", text: await readFile(nats.credentialsFile, "utf8") };
    if (nats.nkeySeedFile) return { kind: "nkey", seed: (await readFile(nats.nkeySeedFile, "utf8")).trim() };
    if (nats.user !== undefined) return { kind: "password", user: nats.user, password: nats.password ?? "" };
    if (nats.token !== undefined) return { kind: "token", token: nats.token };
    return { kind: "none" };
  }

  /**
   * What a configuration says now, read and checked; the answer has NATS and the connectors take it up. Connectors and a
   * NATS that it no longer names keep what they have. Throws, and changes nothing, when something of it cannot be used.
   */
  prepare(config: GatewayConfig, connectors: readonly Connector[]): () => void {
    const fresh = read(config);
    const takeUps = connectors.map((connector) => {
      const named = config.connectors.find(({ name }) => name === connector.name);
      return named && prepareCredentials(connector, named);
    });
    return () => {
      this.now = fresh.nats ? fresh : { ...fresh, nats: this.now.nats, natsTls: this.now.natsTls };
      for (const takeUp of takeUps) takeUp?.();
    };
  }

  /**
   * When the certificates end that it shows; of several connectors the one that ends first. Not those of authorities: a
   * bundle of many may hold one that has ended and that nobody needs.
   */
  views(): readonly CertificateView[] {
    return this.now.views;
  }
}

function read({ nats, connectors }: GatewayConfig): Own {
  const natsTls = nats?.tls && readNatsTls(nats.tls);
  const views: CertificateView[] = [];
  const add = (use: CertificateView["use"], pems: readonly string[]) => {
    const ends = pems.map(firstEndOf).filter((end) => end !== undefined);
    if (ends.length > 0) views.push({ use, expireTimeMs: Math.min(...ends) });
  };
  add("nats", natsTls?.cert === undefined ? [] : [natsTls.cert]);
  add(
    "connector",
    connectors.flatMap(({ auth }) => (auth.certFile ? [readFileSync(auth.certFile, "utf8")] : [])),
  );
  return { nats, natsTls, views };
}

function readNatsTls({ caFile, certFile, keyFile }: NonNullable<NatsConfig["tls"]>): BusTls {
  const tls: BusTls = {
    ...(caFile ? { ca: readFileSync(caFile, "utf8") } : {}),
    ...(certFile ? { cert: readFileSync(certFile, "utf8") } : {}),
    ...(keyFile ? { key: readFileSync(keyFile, "utf8") } : {}),
  };
  checkPem(tls, "nats.tls");
  return tls;
}
