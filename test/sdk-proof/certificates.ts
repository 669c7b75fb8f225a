import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

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
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await run("openssl", [
    ...["req", "-x509", ...key, "-days", "2", "-subj", "/CN=test authority"],
    ...["-keyout", path("ca.key"), "-out", path("ca.pem")],
  ]);
  const issue = async (name: string, subject: string, extension: string) => {
    await writeFile(path(`${name}.ext`), extension);
    await run("openssl", [
      ...["req", ...key, "-subj", `/CN=${subject}`],
      ...["-keyout", path(`${name}.key`), "-out", path(`${name}.csr`)],
    ]);
    await run("openssl", [
      ...["x509", "-req", "-days", "2", "-in", path(`${name}.csr`), "-CA", path("ca.pem")],
      ...["-CAkey", path("ca.key"), "-CAcreateserial", "-extfile", path(`${name}.ext`)],
      ...["-out", path(`${name}.pem`)],
    ]);
  };
  await issue("server", "127.0.0.1", "subjectAltName=IP:127.0.0.1");
  await issue("client", clientName, "extendedKeyUsage=clientAuth");
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
