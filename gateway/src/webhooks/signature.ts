import { createHmac, timingSafeEqual } from "node:crypto";

/** The header of the signature: `t=<Unix seconds>,v1=<hex>`, a further `v1` while secrets are changed. */
export const SIGNATURE_HEADER = "Callweave-Signature";

/** How old a signature may be for a receiver that checks it, in seconds. */
export const SIGNATURE_TOLERANCE_SECONDS = 300;

/** The header for a body: HMAC-SHA-256 over `<t>.<body>` with each secret. */
export function signatureOf(body: string, secrets: readonly string[], unixSeconds: number): string {
  const values = secrets.map((secret) => `v1=${hmac(secret, unixSeconds, body)}`);
  return [`t=${unixSeconds}`, ...values].join(",");
}

/** Whether a header was made for this body with the secret, no longer ago (or ahead) than the tolerance. */
export function verifySignature(header: string, body: string, secret: string, nowSeconds: number): boolean {
  const parts = header.split(",").map((part) => part.split("=", 2) as [string, string | undefined]);
  const time = Number(parts.find(([name]) => name === "t")?.[1]);
  if (!(Math.abs(nowSeconds - time) <= SIGNATURE_TOLERANCE_SECONDS)) return false;
  const wanted = Buffer.from(hmac(secret, time, body));
  return parts.some(([name, value = ""]) => {
    const given = Buffer.from(value);
    return name === "v1" && given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

function hmac(secret: string, unixSeconds: number, body: string): string {
  return createHmac("sha256", secret).update(`${unixSeconds}.${body}`).digest("hex");
}
