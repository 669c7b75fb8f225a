import { isObject } from "./tagged-json.js";

/** What stands for a payment card's number. */
export const CARD_MARK = "[card number]";
/** What stands for a bank account's number. */
export const IBAN_MARK = "[bank account]";

/** What stands for an e-mail address. */
export const EMAIL_MARK = "[e-mail]";
/** What stands for a text that the hook could not handle: rather no words than the wrong ones. */
export const HOOK_FAILED_MARK = "[redacted]";

/** A pattern of an installation's own. */
export interface RedactionPattern {
  /** Names it in the configuration and in errors. */
  readonly name: string;
  /** With the flags g and u; every match is replaced. */
  readonly pattern: RegExp;
  /** Stands for each match, as it is: "$1" means nothing. */
  readonly mark: string;
}

/** What a redactor takes out. */
export interface RedactorOptions {
  /** Numbers of payment cards with a right check digit. Default true. */
  readonly cards?: boolean;
  /** Numbers of bank accounts (IBAN) with right check digits. Default true. */
  readonly ibans?: boolean;
  /** E-mail addresses. Default true. */
  readonly emails?: boolean;
  /** In this order, after the above. Default none. */
  readonly patterns?: readonly RedactionPattern[];
  /** Sees each text last and answers the one to keep. When it throws or answers no text, the text becomes "[redacted]". */
  readonly hook?: (text: string) => unknown;
  /** Told when the hook failed; without the text. */
  readonly onHookFailed?: (error: unknown) => void;
}

/** Takes out of texts and JSON values what must not be kept. */
export class Redactor {
  private readonly steps: readonly ((text: string) => string)[];

  constructor(options: RedactorOptions = {}) {
    const { cards = true, ibans = true, emails = true, patterns = [], hook } = options;
    const onHookFailed = options.onHookFailed ?? (() => {});
    this.steps = [
      ...(emails ? [(text: string) => text.replace(EMAIL, EMAIL_MARK)] : []),
      ...(ibans
        ? [(text: string) => text.replace(IBAN, (match) => (isIban(match) ? IBAN_MARK : match))]
        : []),
      ...(cards ? [(text: string) => text.replace(DIGIT_RUN, (run) => redactRun(run))] : []),
      ...patterns.map(
        ({ pattern, mark }) =>
          (text: string) =>
            text.replace(pattern, () => mark),
      ),
      ...(hook ? [(text: string) => hooked(hook, text, onHookFailed)] : []),
    ];
  }

  /** The text without what is taken out. */
  text(text: string): string {
    return text === "" ? text : this.steps.reduce((rest, step) => step(rest), text);
  }

  /** The same in all strings and large whole numbers of a JSON value, also in keys. Answers a new value. */
  value(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (typeof value === "number" && Number.isSafeInteger(value) && value > 1e12) {
      const text = this.text(String(value));
      return text === String(value) ? value : text;
    }
    if (Array.isArray(value)) return value.map((item) => this.value(item));
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, v]) => [this.text(key), this.value(v)]));
  }
}

function hooked(hook: (text: string) => unknown, text: string, onFailed: (error: unknown) => void): string {
  try {
    const kept = hook(text);
    if (typeof kept === "string") return kept;
    onFailed(new Error(`the redaction hook answered ${typeof kept}, not a text`));
  } catch (error) {
    // The error itself may hold the words.
    onFailed(new Error(`the redaction hook failed: ${error instanceof Error ? error.name : typeof error}`));
  }
  return HOOK_FAILED_MARK;
}

/** Bounded on both sides of the @, so that a long text without one takes no longer than its length. */
const EMAIL =
  /(?<![\p{L}\p{N}._%+-])[\p{L}\p{N}._%+-]{1,64}@[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}(?![\p{L}\p{N}-])/gu;
/** Digits, alone or in groups with one or two separators between. */
const DIGIT_RUN = /[0-9](?:[ .\-\u00a0\u2010-\u2015]{0,2}[0-9]){12,}/g;
const IBAN = /\b[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?\b/g;

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
