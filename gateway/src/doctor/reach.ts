import { lookup } from "node:dns/promises";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";

/** PEM texts of a TLS connection. */
export interface ReachTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Told each thing that worked. */
export type ReachStep = (step: "resolve" | "connect" | "tls", detail: string) => void;

/** The provider cannot be reached; says at which step and why, in words. */
export class ReachError extends Error {
  override readonly name = "ReachError";
  constructor(
    readonly step: "resolve" | "connect" | "tls",
    message: string,
  ) {
    super(message);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: "the name does not exist: look for a mistake in base_url",
  EAI_AGAIN: "the name server does not answer: look at this machine's DNS",
  ECONNREFUSED: "nobody listens there: look at the port in base_url, and at firewalls",
  ECONNRESET: "the connection was cut: a firewall or proxy may be in between",
  EHOSTUNREACH: "no way there: look at routes and firewalls",
  ENETUNREACH: "no way there: is this machine on the network?",
  CERT_HAS_EXPIRED: "the provider's certificate has expired (or this machine's clock is wrong)",
  CERT_NOT_YET_VALID: "the provider's certificate is not valid yet (or this machine's clock is wrong)",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the certificate is signed by itself: name its authority in auth.ca_file",
  SELF_SIGNED_CERT_IN_CHAIN: "the certificate's authority is not trusted here: name it in auth.ca_file",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the certificate's authority is not trusted here: name it in auth.ca_file",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "the certificate's authority is not trusted here: name it in auth.ca_file",
  ERR_TLS_CERT_ALTNAME_INVALID: "the certificate is for another name than that in base_url",
};

const DAY_MS = 86_400_000;

/**
 * Resolves the name of a ws:// or wss:// address, connects, and with wss:// makes TLS, each within `timeoutMs`. Closes
 * again. Rejects with ReachError.
 */
export async function reach(
  baseUrl: string,
  tls: ReachTls,
  timeoutMs: number,
  told: ReachStep,
): Promise<void> {
  const url = new URL(baseUrl);
  const secure = url.protocol === "wss:";
  const port = Number(url.port) || (secure ? 443 : 80);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const addresses = await within(lookup(host, { all: true }), "resolve", timeoutMs);
  told("resolve", `${host} has ${addresses.length} address${addresses.length === 1 ? "" : "es"}`);
  const socket = connectTcp({ host, port });
  try {
    await within(opened(socket, "connect"), "connect", timeoutMs);
    told("connect", `port ${port} answers`);
    if (!secure) {
      told("tls", "none: the address is ws://, so the credential goes in plain text");
      return;
    }
    const secured = connectTls({ socket, host, ...(isIP(host) ? {} : { servername: host }), ...tls });
    await within(opened(secured, "secureConnect"), "tls", timeoutMs);
    told("tls", describe(secured));
    secured.destroy();
  } finally {
    socket.destroy();
  }
}

function opened(socket: Socket, event: "connect" | "secureConnect"): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.on("error", reject);
    socket.once("close", () => reject(Object.assign(new Error("closed"), { code: "ECONNRESET" })));
  });
}

async function within<T>(work: Promise<T>, step: ReachError["step"], timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new ReachError(step, `no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } catch (error) {
    if (error instanceof ReachError) throw error;
    const code = String((error as NodeJS.ErrnoException).code ?? "unknown");
    throw new ReachError(step, `${code}: ${REASONS[code] ?? "see the code"}`);
  } finally {
    clearTimeout(timer);
  }
}

function describe(socket: TLSSocket): string {
  const days = Math.floor((Date.parse(socket.getPeerCertificate().valid_to) - Date.now()) / DAY_MS);
  const rest = Number.isFinite(days) ? `, certificate valid for ${days} more days` : "";
  return `${socket.getProtocol() ?? "TLS"}${rest}`;
}
