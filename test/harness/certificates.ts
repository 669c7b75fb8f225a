import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** Makes an authority with the openssl command: NAME.pem and NAME.key in the folder. */
export async function makeAuthority(folder: string, name: string): Promise<void> {
  const path = (end: string) => join(folder, `${name}.${end}`);
  await run("openssl", [
    ...["req", "-x509", ...NEW_KEY, "-days", "2", "-subj", `/CN=test authority ${name}`],
    ...["-keyout", path("key"), "-out", path("pem")],
  ]);
}

/** Makes a certificate of an authority of the folder: NAME.pem and NAME.key. `extension` as openssl writes it. */
export async function issueCertificate(
  folder: string,
  authority: string,
  name: string,
  { subject = name, extension }: { readonly subject?: string; readonly extension: string },
): Promise<void> {
  const path = (file: string) => join(folder, file);
  await writeFile(path(`${name}.ext`), `${extension}\n`);
  await run("openssl", [
    ...["req", ...NEW_KEY, "-subj", `/CN=${subject}`],
    ...["-keyout", path(`${name}.key`), "-out", path(`${name}.csr`)],
  ]);
  await run("openssl", [
    ...["x509", "-req", "-days", "2", "-in", path(`${name}.csr`), "-CA", path(`${authority}.pem`)],
    ...["-CAkey", path(`${authority}.key`), "-CAcreateserial", "-extfile", path(`${name}.ext`)],
    ...["-out", path(`${name}.pem`)],
  ]);
}
