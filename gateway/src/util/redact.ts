import { isObject } from "./tagged-json.js";

/** What stands for a payment card's number. */
export const CARD_MARK = "[card number]";
/** What stands for a bank account's number. */
export const IBAN_MARK = "[bank account]";

/** Digits, alone or in groups with one or two separators between. */
const DIGIT_RUN = /[0-9](?:[ .\-\u00a0\u2010-\u2015]{0,2}[0-9]){12,}/g;
const IBAN = /\b[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?\b/g;

/**
 * Takes the numbers of payment cards (13 to 19 digits, in groups or not, with a right Luhn digit) and of bank accounts
 * (IBAN with right check digits) out of a text.
 */
export function redactText(text: string): string {
  if (text.length < 13) return text;
  return text
    .replace(IBAN, (match) => (isIban(match) ? IBAN_MARK : match))
    .replace(DIGIT_RUN, (run) => redactRun(run));
}

/** The same in all strings and whole numbers of a JSON value, also in keys. Answers a new value. */
export function redactValue(value: unknown): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 1e12) {
    return redactText(String(value)) === String(value) ? value : CARD_MARK;
  }
  if (Array.isArray(value)) return value.map(redactValue);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [redactText(key), redactValue(v)]));
}

/** Looks at each stretch of whole groups: an expiry date or an amount may stand beside the number. */
function redactRun(run: string): string {
  const groups = [...run.matchAll(/[0-9]+/g)].map((match) => ({
    digits: match[0],
    begin: match.index,
    end: match.index + match[0].length,
  }));
  for (let from = 0; from < groups.length; from++) {
    let digits = "";
    let found = -1;
    for (let to = from; to < groups.length; to++) {
      digits += groups[to]?.digits ?? "";
      if (digits.length > 19) break;
      if (isCard(digits)) found = to;
    }
    const first = groups[from];
    const last = groups[found];
    if (first && last) return `${run.slice(0, first.begin)}${CARD_MARK}${redactRun(run.slice(last.end))}`;
  }
  return run;
}

function isCard(digits: string): boolean {
  // Issuers of payment cards begin with 2 to 6; this keeps most order numbers and times whole.
  if (digits.length < 13 || !/^[2-6]/.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

function isIban(text: string): boolean {
  const compact = text.replaceAll(" ", "").toUpperCase();
  if (compact.length < 15 || compact.length > 34) return false;
  const moved = compact.slice(4) + compact.slice(0, 4);
  let rest = 0;
  for (const character of moved) {
    const value = Number.parseInt(character, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}
