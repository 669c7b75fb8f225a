const E164 = /^\+[1-9][0-9]{4,14}$/;

/** True for "+" and 5 to 15 digits, the first of them not 0. */
export function isE164(number: string): boolean {
  return E164.test(number);
}

/**
 * A number as people and providers write it in E.164 ("+15550100"), or undefined when it cannot be told: withheld,
 * a short number, a national number without `defaultCountryCode` ("1", "49"). Understands tel: and sip: addresses,
 * the usual separators, 00 for +, and digits alone when there are 11 to 15.
 */
export function toE164(raw: string, defaultCountryCode = ""): string | undefined {
  const bare = stripDecoration(raw);
  if (!/^\+?[0-9]+$/.test(bare)) return undefined;
  return checked(international(bare, defaultCountryCode));
}

function international(bare: string, countryCode: string): string {
  if (bare.startsWith("+")) return bare;
  if (bare.startsWith("00")) return `+${bare.slice(2)}`;
  if (countryCode !== "") {
    if (countryCode === "1" && bare.startsWith("011")) return `+${bare.slice(3)}`;
    if (bare.startsWith(countryCode) && bare.length >= 11) return `+${bare}`;
    // Italy and San Marino keep the 0 of the area in the international form.
    if (bare.startsWith("0"))
      return `+${countryCode}${/^(39|378)$/.test(countryCode) ? bare : bare.slice(1)}`;
    return bare.length >= 6 ? `+${countryCode}${bare}` : "";
  }
  return bare.length >= 11 && !bare.startsWith("0") ? `+${bare}` : "";
}

function checked(number: string): string | undefined {
  return isE164(number) ? number : undefined;
}

function stripDecoration(raw: string): string {
  let text = raw.trim().slice(0, 200);
  const address = /^(?:<)?(tel|sips?):([^@;?>]*)/i.exec(text);
  if (address) text = address[2] ?? "";
  const plus = text.startsWith("+") || text.startsWith("00");
  if (plus) text = text.replace("(0)", "");
  return text.replace(/[\s().\-/\u00a0\u2010-\u2015]/g, "");
}

/**
 * One writing per number, for storing and looking up: E.164 where it can be told, else the digits of a short or
 * national number; empty for a withheld one, undefined for what is no number at all.
 */
export function canonicalNumber(raw: string, defaultCountryCode = ""): string | undefined {
  if (raw.trim() === "") return "";
  const e164 = toE164(raw, defaultCountryCode);
  if (e164) return e164;
  const bare = stripDecoration(raw);
  return /^[0-9*#]{2,15}$/.test(bare) ? bare : undefined;
}

/** A number for logs: only the last digits stay, four of a long one, two of a short one. */
export function maskNumber(number: string): string {
  const digits = number.replace(/\D/g, "");
  if (digits === "") return number === "" ? "withheld" : "***";
  const keep = digits.length >= 7 ? 4 : digits.length >= 4 ? 2 : 0;
  return `***${keep === 0 ? "" : digits.slice(-keep)}`;
}
