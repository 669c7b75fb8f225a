/** Remote text longer than this is cut, characters. */
export const MAX_REMOTE_TEXT = 200;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;
const BEARER = /bearer\s+[\w.~+/=-]+/gi;
const JWT = /\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?/g;
const NUMBER = /\+?\d[\d\s().-]{5,}\d/g;

/**
 * Text of the other side made fit for logs and errors: without the given secrets, bearer tokens and control characters,
 * phone numbers masked to their last two digits, at most 200 characters.
 */
export function redactRemote(text: string, secrets: readonly string[] = []): string {
  // Bounded before any pattern looks at it; the rest is cut anyway.
  let out = text.slice(0, 4 * MAX_REMOTE_TEXT);
  for (const secret of secrets) if (secret.length > 0) out = out.split(secret).join("[secret]");
  out = out
    .replace(CONTROL, " ")
    .replace(BEARER, "[secret]")
    .replace(JWT, "[secret]")
    .replace(NUMBER, (number) => `***${number.slice(-2)}`)
    .trim();
  return out.length > MAX_REMOTE_TEXT ? `${out.slice(0, MAX_REMOTE_TEXT)}…` : out;
}

/** An address without query, fragment and credentials. "[invalid]" when it is none. */
export function redactUrl(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname}`.slice(0, MAX_REMOTE_TEXT);
  } catch {
    return "[invalid]";
  }
}
