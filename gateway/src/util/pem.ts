import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";

type Pem = string | Buffer;

/** What one side of TLS shows and trusts; PEM. */
export interface PemSet {
  readonly cert?: Pem | undefined;
  readonly key?: Pem | undefined;
  readonly ca?: Pem | undefined;
}

/**
 * Throws a RangeError that begins with `what` and never holds the texts, when OpenSSL cannot use them: a certificate
 * without its key, half a file, an authority that is no certificate.
 */
export function checkPem({ cert, key, ca }: PemSet, what: string): void {
  try {
    createSecureContext({ ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }) });
    // OpenSSL takes nothing as nothing at all, and anything as an authority, whom it then trusts in vain.
    if (cert !== undefined && endsOf(cert).length === 0) throw new Error("there is no certificate");
    if (cert !== undefined && (key === undefined || key.length === 0)) throw new Error("there is no key");
    if (ca !== undefined && endsOf(ca).length === 0)
      throw new Error("there is no certificate of an authority");
  } catch (error) {
    const rule = error instanceof Error ? error.message : String(error);
    throw new RangeError(`${what}: ${rule}`, { cause: error });
  }
}

/** When the first of the certificates of a PEM text ends, wall clock in ms; undefined when there is none. */
export function firstEndOf(pem: Pem): number | undefined {
  const ends = endsOf(pem);
  return ends.length > 0 ? Math.min(...ends) : undefined;
}

function endsOf(pem: Pem): number[] {
  const blocks = pem
    .toString("latin1")
    .match(/-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]+-----END (?:TRUSTED )?CERTIFICATE-----/g);
  return (blocks ?? []).map((block) => Date.parse(new X509Certificate(block).validTo));
}
