import type { IncomingMessage } from "node:http";
import { isLoopback } from "../contract/authenticator.js";

/**
 * Which pages may use the port. The host a request names has to be one of ours too: a foreign name that was made to
 * point to this machine would else be an origin of its own right.
 */
export class Origins {
  private readonly allowed: ReadonlySet<string>;
  private readonly hosts: ReadonlySet<string>;

  /** Throws on what is not an origin ("https://desk.example.com"). */
  constructor(origins: readonly string[]) {
    const urls = origins.map((origin) => {
      const url = URL.canParse(origin) ? new URL(origin) : undefined;
      if (!url || !/^https?:$/.test(url.protocol) || url.origin !== origin)
        throw new Error(`origin must be like https://desk.example.com, not ${origin}`);
      return url;
    });
    this.allowed = new Set(urls.map((url) => url.origin));
    this.hosts = new Set(urls.map((url) => url.host));
  }

  /** Whether the request names a host of ours. */
  knowsHost({ headers }: IncomingMessage): boolean {
    const { host } = headers;
    return host !== undefined && (isLoopback(nameOf(host)) || this.hosts.has(host.toLowerCase()));
  }

  /** The origin of a request that may change something; undefined when it is missing or foreign. */
  allowedOrigin({ headers }: IncomingMessage): string | undefined {
    const { host, origin } = headers;
    if (origin === undefined || host === undefined) return undefined;
    if (this.allowed.has(origin)) return origin;
    const own = origin === `http://${host}` || origin === `https://${host}`;
    return own && isLoopback(nameOf(host)) ? origin : undefined;
  }
}

/** "[::1]:7072" is "::1". */
function nameOf(host: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(host);
  return bracketed?.[1] ?? host.replace(/:\d+$/, "");
}
