import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ChannelCredentials, credentials } from "@grpc/grpc-js";
import { makeKeyFile, signToken } from "../../gateway/src/auth/auth-commands.js";
import { issueCertificate, makeAuthority } from "../harness/certificates.js";
import type { Scenario } from "./scenario.js";

const ISSUER = { issuer: "https://issuer.example", audience: "callweave" };
/** The certificate of a program that may be an agent. */
const AGENT = "URI:spiffe://example.org/agent/conformance";

/** The certificates and tokens of a scenario, as files in its folder: `$file:ca.pem`, `$file:agent.pem`, `$file:agent.key`. */
export class Secrets {
  private constructor(
    private readonly folder: string,
    private readonly wanted: Pick<Scenario["gateway"], "keys" | "tls" | "tokens">,
    private readonly jwksFile: string,
  ) {}

  static async make(folder: string, wanted: Scenario["gateway"]): Promise<Secrets> {
    const { tls, tokens } = wanted;
    if (tls) {
      await Promise.all(["ca", "other-ca"].map((name) => makeAuthority(folder, name)));
      await issueCertificate(folder, "ca", "server", { extension: "subjectAltName=IP:127.0.0.1" });
      await issueCertificate(folder, "ca", "agent", { extension: `subjectAltName=${AGENT}` });
      await issueCertificate(folder, "other-ca", "stranger", { extension: `subjectAltName=${AGENT}` });
    }
    return new Secrets(folder, wanted, tokens ? await makeKeyFile(join(folder, "issuer.key")) : "");
  }

  /** What the configuration of the gateway says of them. */
  get config(): { readonly grpc: object; readonly auth: object } {
    const { keys, tls } = this.wanted;
    const serverFiles = { cert_file: this.path("server.pem"), key_file: this.path("server.key") };
    const mutual = tls === "mutual" ? { client_ca_file: this.path("ca.pem") } : {};
    return {
      grpc: { ...(keys ? { keys } : {}), ...(tls ? { tls: { ...serverFiles, ...mutual } } : {}) },
      auth: {
        ...(tls === "mutual" ? { certificates: [{ san: AGENT, role: "agent" }] } : {}),
        ...(this.jwksFile ? { issuers: [{ ...ISSUER, jwks_file: this.jwksFile }], leeway_seconds: 0 } : {}),
      },
    };
  }

  /** How somebody without our clients reaches the gateway. */
  get outsider(): ChannelCredentials {
    const { tls } = this.wanted;
    if (!tls) return credentials.createInsecure();
    const pem = (name: string) => readFileSync(this.path(name));
    return tls === "mutual"
      ? credentials.createSsl(pem("ca.pem"), pem("agent.key"), pem("agent.pem"))
      : credentials.createSsl(pem("ca.pem"));
  }

  /** Writes a token of an agent that is good for so long; programs that read the file never see half of it. */
  async writeToken(file: string, seconds: number): Promise<void> {
    const rights = { tenant: "default", role: "agent", scope: [], pool: [], connector: [] };
    const keyFile = this.path("issuer.key");
    const token = await signToken({ keyFile, ...ISSUER, ...rights, subject: "conformance", ttl: seconds });
    writeFileSync(this.path(`${file}.new`), token);
    renameSync(this.path(`${file}.new`), this.path(file));
  }

  private path(name: string): string {
    return join(this.folder, name);
  }
}
