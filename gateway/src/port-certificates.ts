import { readFileSync } from "node:fs";
import type { GatewayConfig } from "./config/config-types.js";
import type { EdgeTls } from "./grpc/options.js";
import type { CertificateView } from "./ops/ops-sources.js";
import { checkPem, firstEndOf } from "./util/pem.js";

type PortTls = { readonly grpc: EdgeTls | undefined; readonly desk: EdgeTls | undefined };

/** What takes certificates while it runs. */
interface Port {
  reloadTls(tls: EdgeTls): void;
}

/** The certificates that the ports of this gateway show, from their files, and the authority of its clients'. */
export class PortCertificates {
  private now: PortTls;

  /** Throws when a file cannot be read. */
  constructor(config: GatewayConfig) {
    this.now = read(config);
  }

  get grpc(): EdgeTls | undefined {
    return this.now.grpc;
  }

  get desk(): EdgeTls | undefined {
    return this.now.desk;
  }

  /**
   * What a configuration says now, checked; the answer hands it to the ports, where it is another one: new connections see
   * it. Throws when OpenSSL cannot use it, or when a port would get TLS or lose it.
   */
  prepare(config: GatewayConfig): (ports: { readonly grpc: Port; readonly desk: Port | undefined }) => void {
    const fresh = read(config);
    for (const [port, key] of [
      ["grpc", "gateway.grpc.tls"],
      ["desk", "desk.tls"],
    ] as const) {
      if ((fresh[port] === undefined) !== (this.now[port] === undefined))
        throw new Error(`${key} cannot be added or taken away while the gateway runs`);
      const tls = fresh[port];
      if (tls) checkPem({ cert: tls.cert, key: tls.key, ca: tls.clientCa }, key);
    }
    return (ports) => {
      for (const port of ["grpc", "desk"] as const) {
        const tls = fresh[port];
        if (tls && !sameTls(tls, this.now[port])) ports[port]?.reloadTls(tls);
      }
      this.now = fresh;
    };
  }

  /** When they end; of several in a file the one that ends first. */
  views(): CertificateView[] {
    const { grpc, desk } = this.now;
    const views: CertificateView[] = [];
    const add = (use: CertificateView["use"], pem: Buffer | undefined) => {
      const expireTimeMs = pem && firstEndOf(pem);
      if (expireTimeMs !== undefined) views.push({ use, expireTimeMs });
    };
    add("grpc", grpc?.cert);
    add("grpc_client_ca", grpc?.clientCa);
    add("desk", desk?.cert);
    return views;
  }
}

function read({ gateway, desk }: GatewayConfig): PortTls {
  const pem = (tls: {
    readonly certFile: string;
    readonly keyFile: string;
    readonly clientCaFile?: string;
  }) => ({
    cert: readFileSync(tls.certFile),
    key: readFileSync(tls.keyFile),
    ...(tls.clientCaFile ? { clientCa: readFileSync(tls.clientCaFile) } : {}),
  });
  return { grpc: gateway.grpc.tls && pem(gateway.grpc.tls), desk: desk?.tls && pem(desk.tls) };
}

function sameTls(a: EdgeTls, b: EdgeTls | undefined): boolean {
  const bytes = ({ cert, key, clientCa }: EdgeTls) => Buffer.concat([cert, key, clientCa ?? Buffer.alloc(0)]);
  return b !== undefined && bytes(a).equals(bytes(b));
}
