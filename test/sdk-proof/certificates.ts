import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { issueCertificate, makeAuthority } from "../harness/certificates.js";

/** Throw-away certificates in a directory of their own. */
export interface Certificates {
  /** Paths, PEM. */
  readonly ca: string;
  readonly clientCert: string;
  readonly clientKey: string;
  /** Contents, PEM. */
  readonly serverCert: Buffer;
  readonly serverKey: Buffer;
  readonly caCert: Buffer;
  remove(): Promise<void>;
}

/** Makes an authority, a server certificate for 127.0.0.1 and a client certificate, with the openssl command. */
export async function makeCertificates(clientName: string): Promise<Certificates> {
  const directory = await mkdtemp(join(tmpdir(), "callweave-certificates-"));
  const path = (name: string) => join(directory, name);
  await makeAuthority(directory, "ca");
  const server = { subject: "127.0.0.1", extension: "subjectAltName=IP:127.0.0.1" };
  await issueCertificate(directory, "ca", "server", server);
  await issueCertificate(directory, "ca", "client", {
    subject: clientName,
    extension: "extendedKeyUsage=clientAuth",
  });
  return {
    ca: path("ca.pem"),
    clientCert: path("client.pem"),
    clientKey: path("client.key"),
    serverCert: await readFile(path("server.pem")),
    serverKey: await readFile(path("server.key")),
    caCert: await readFile(path("ca.pem")),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
