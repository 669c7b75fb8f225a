/**
 * What happens to a call whose control connection, or control and media connection, died. The vendor's SDK
 * does not tell (assumption A1), so each plausible answer can be chosen.
 * - `renotify`: `session.notify` with activity RESUME goes to every connection of the connector
 * - `list_only`: nobody is told; the REST list shows it and `session.open` works
 * - `end_call`: a call that lost both connections ends
 * - `busy_for`: `session.open` answers SESSION_BUSY for so many seconds, then as `renotify`
 */
export type OrphanPolicy =
  | "renotify"
  | "list_only"
  | "end_call"
  | { readonly policy: "busy_for"; readonly seconds: number };

/**
 * Reads `renotify`, `list_only`, `end_call` or `busy_for:SECONDS`.
 * @throws Error for anything else
 */
export function parseOrphanPolicy(text: string): OrphanPolicy {
  if (text === "renotify" || text === "list_only" || text === "end_call") return text;
  const match = /^busy_for:(\d+(?:\.\d+)?)$/.exec(text);
  if (match) return { policy: "busy_for", seconds: Number(match[1]) };
  throw new Error(`unknown orphan policy "${text}": renotify, list_only, end_call or busy_for:SECONDS`);
}
