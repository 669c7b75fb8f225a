import { isIP } from "node:net";
import { Agent, request } from "undici";
import { type AllowedHosts, TargetRefused } from "./targets.js";

/** What became of one attempt. */
export type Attempt =
  | { readonly result: "delivered"; readonly status: number }
  /** The receiver said that it will never take it. */
  | { readonly result: "refused"; readonly error: string }
  | {
      readonly result: "failed";
      readonly error: string;
      /** There was no answer at all. */
      readonly unreachable: boolean;
      /** The receiver asked to wait this long, ms. */
      readonly retryAfterMs?: number;
    };

/** One POST. */
export interface Post {
  readonly url: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** Statuses of a receiver that may take it later, beside 5xx. */
const LATER = new Set([408, 409, 425, 429]);

/** An answer is read no further than this, bytes: nothing in it matters. */
const MAX_ANSWER_BYTES = 16_384;

/**
 * Sends. Redirects are answers that refuse; every connection is made to an address that was looked at (see AllowedHosts).
 * Errors name a code or a status, never an address with its query, a header or a body.
 */
export class Sender {
  private readonly agent: Agent;

  /** `maxConnections` to one host. */
  constructor(
    private readonly hosts: AllowedHosts,
    maxConnections: number,
    timeoutMs: number,
  ) {
    this.agent = new Agent({
      connections: maxConnections,
      keepAliveTimeout: 10_000,
      maxHeaderSize: 16_384,
      connect: { lookup: hosts.lookup, timeout: timeoutMs },
    });
  }

  /** Never rejects. */
  async send({ url, body, headers, timeoutMs }: Post, signal: AbortSignal): Promise<Attempt> {
    try {
      this.checkLiteral(url);
      const response = await request(url, {
        method: "POST",
        body,
        headers: { "Content-Type": "application/json", "User-Agent": "callweave", ...headers },
        dispatcher: this.agent,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      await response.body.dump({ limit: MAX_ANSWER_BYTES });
      return judge(response.statusCode, response.headers["retry-after"]);
    } catch (error) {
      return { result: "failed", error: codeOf(error), unreachable: true };
    }
  }

  /** Ends; connections are cut. */
  close(): Promise<void> {
    return this.agent.destroy();
  }

  /** A host that is an address is never looked up. */
  private checkLiteral(url: string): void {
    const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
    if (isIP(host) && !this.hosts.allows(host, host)) throw new TargetRefused("not an allowed address");
  }
}

function judge(status: number, retryAfter: string | string[] | undefined): Attempt {
  if (status >= 200 && status < 300) return { result: "delivered", status };
  const error = `HTTP ${status}`;
  if (status < 500 && !LATER.has(status)) return { result: "refused", error };
  const seconds = Number(typeof retryAfter === "string" && /^[0-9]{1,5}$/.test(retryAfter) ? retryAfter : "");
  return {
    result: "failed",
    error,
    unreachable: false,
    ...(seconds > 0 && { retryAfterMs: seconds * 1000 }),
  };
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "UNKNOWN";
  const { code, errors } = error as Error & { code?: unknown; errors?: readonly unknown[] };
  if (typeof code === "string") return code;
  if (errors?.[0] instanceof Error) return codeOf(errors[0]);
  return error.name === "TimeoutError" ? "TIMEOUT" : error.name;
}
