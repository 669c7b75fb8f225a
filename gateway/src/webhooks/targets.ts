import { lookup as systemLookup } from "node:dns";
import { BlockList, isIP, isIPv6, type LookupFunction } from "node:net";

/** What a name stands for; as `dns.lookup` with `all`. */
export type Resolve = (
  hostname: string,
  done: (
    error: NodeJS.ErrnoException | null,
    addresses: readonly { readonly address: string; readonly family: number }[],
  ) => void,
) => void;

const LOOPBACK_NAME = /^(?:localhost|.+\.localhost)$/;

const LOOPBACK = ranges(["127.0.0.0/8", "::1/128"]);

/** IPv4 that is not the public internet: private, shared, link-local (cloud metadata), reserved, multicast. */
const NOT_PUBLIC = ranges([
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
  // Inside of 2000::/3: what carries an IPv4 address, and documentation.
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
]);

const GLOBAL_IPV6 = ranges(["2000::/3"]);

/** An address that may not be connected to. */
export class TargetRefused extends Error {
  override readonly name = "TargetRefused";
  readonly code = "ERR_TARGET_REFUSED";
}

/**
 * Where webhooks may go: named hosts, and addresses or ranges ("10.1.0.0/16"). What a listed name stands for is looked at
 * when the connection is made, and the connection goes to that very address: a name that comes to point to a private
 * address leads nowhere, unless that address is listed too.
 */
export class AllowedHosts {
  private readonly names = new Set<string>();
  private readonly listed: BlockList;

  /** Throws on an entry that is neither a name nor an address nor a range. */
  constructor(
    entries: readonly string[],
    private readonly resolve: Resolve = (hostname, done) => systemLookup(hostname, { all: true }, done),
  ) {
    const addresses: string[] = [];
    for (const entry of entries) {
      if (entry.includes("/") || isIP(entry)) addresses.push(entry);
      else if (HOST_NAME.test(entry)) this.names.add(entry.toLowerCase());
      else throw new Error(HOST_RULE);
    }
    this.listed = ranges(addresses);
  }

  /** The rule that an address of a webhook breaks; undefined when it may be used. */
  problemOf(text: string): string | undefined {
    if (!URL.canParse(text)) return "must be an address (https://…)";
    const url = new URL(text);
    const host = bare(url.hostname);
    if (url.username !== "" || url.password !== "") return "must not hold a user or a password";
    if (url.hash !== "") return "must not hold a fragment";
    const local = isIP(host) ? inside(LOOPBACK, host) : LOOPBACK_NAME.test(host);
    if (url.protocol !== "https:" && !(url.protocol === "http:" && local))
      return "must be https://, or http:// to a loopback address";
    if (isIP(host) ? inside(this.listed, host) : this.names.has(host)) return undefined;
    return "must be of a host in webhooks_allowed_hosts";
  }

  /** Whether a connection for this host may go to this address. */
  allows(hostname: string, address: string): boolean {
    if (inside(this.listed, address)) return true;
    if (LOOPBACK_NAME.test(hostname) && this.names.has(hostname)) return inside(LOOPBACK, address);
    return isIPv6(address)
      ? inside(GLOBAL_IPV6, address) && !inside(NOT_PUBLIC, address)
      : !inside(NOT_PUBLIC, address);
  }

  /** For sockets: gives them none but allowed addresses. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.resolve(hostname.toLowerCase(), (error, found) => {
      const family = options.family === 4 || options.family === "IPv4" ? 4 : options.family === 6 ? 6 : 0;
      const usable = found?.filter((one) => family === 0 || one.family === family) ?? [];
      const allowed = usable.filter(({ address }) => this.allows(hostname.toLowerCase(), address));
      const [first] = allowed;
      if (error) callback(error, []);
      else if (!first)
        callback(new TargetRefused("the name stands for no address that webhooks may use"), []);
      else if (options.all) callback(null, [...allowed]);
      else callback(null, first.address, first.family);
    });
  };
}

const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*$/;

/** What an entry has to be. */
export const HOST_RULE = 'must be a host name, an address or a range ("hooks.example.com", "10.1.0.0/16")';

/** Whether it is an entry. */
export function isHostEntry(entry: string): boolean {
  try {
    new AllowedHosts([entry]);
    return true;
  } catch {
    return false;
  }
}

/** "[::1]" is "::1". */
function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "").toLowerCase();
}

function inside(list: BlockList, address: string): boolean {
  return list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

function ranges(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = "", prefix, more] = entry.split("/");
    const family = isIP(address);
    const bits = prefix === undefined ? (family === 6 ? 128 : 32) : Number(prefix);
    if (
      family === 0 ||
      more !== undefined ||
      !/^[0-9]{1,3}$/.test(prefix ?? "0") ||
      bits > (family === 6 ? 128 : 32)
    )
      throw new Error(HOST_RULE);
    list.addSubnet(address, bits, family === 6 ? "ipv6" : "ipv4");
  }
  return list;
}
