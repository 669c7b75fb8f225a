function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

function portOf(url: URL): string {
  return url.port || (url.protocol === "wss:" ? "443" : "80");
}

function matches(url: URL, entry: string): boolean {
  const [, name = "", port = ""] = /^(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
  if (port !== "" && port !== portOf(url)) return false;
  return name.startsWith(".") ? url.hostname.endsWith(name) : url.hostname === name;
}

/**
 * Whether a media address may be dialled with a call's token. It may when it is a websocket address without user and
 * password, encrypted if the base URL is, and its host is the base URL's (same port), or one of `mediaHosts`:
 * "media.example.com", ".example.com" (every host below it), either with ":port" to fix the port. When the base URL is on
 * the loopback, so may be the media, on any port.
 */
export function isMediaUrlAllowed(mediaUrl: string, baseUrl: string, mediaHosts: readonly string[]): boolean {
  let url: URL;
  let base: URL;
  try {
    url = new URL(mediaUrl);
    base = new URL(baseUrl);
  } catch {
    return false;
  }
  if (url.protocol !== "wss:" && url.protocol !== "ws:") return false;
  if (base.protocol === "wss:" && url.protocol !== "wss:") return false;
  if (url.username !== "" || url.password !== "") return false;
  if (isLoopback(base.hostname) && isLoopback(url.hostname)) return true;
  if (url.hostname === base.hostname && portOf(url) === portOf(base)) return true;
  return mediaHosts.some((entry) => matches(url, entry));
}
