import fc from "fast-check";
import { canonicalNumber, isE164, maskNumber, toE164 } from "../../../gateway/src/util/numbers.js";
import { CARD_MARK, EMAIL_MARK, IBAN_MARK, Redactor } from "../../../gateway/src/util/redact.js";
import { parseTagged, stringifyTagged } from "../../../gateway/src/util/tagged-json.js";
import { json, long, mostly, text, word } from "../inputs.js";
import { must, target } from "../target.js";

const digits = (min: number, max: number) =>
  fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: min, maxLength: max, size: "max" })
    .map((list) => list.join(""));

const number = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(mostly("+", "00", "", "tel:+", "sip:+", "<sip:", "+1 (0)", "011"), digits(0, 22)),
  },
  { weight: 1, arbitrary: fc.tuple(word, digits(0, 12)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant(""), text) },
);
const written = fc
  .tuple(number, mostly("", "-", " ", ".", "(0)", "/", "\u00a0"), mostly("", "@host", ";x=1", ">", "x"))
  .map(
    ([[prefix, rest], separator, end]) => `${prefix}${rest.slice(0, 3)}${separator}${rest.slice(3)}${end}`,
  );

/** Digits with their check digit by Luhn. */
const card = digits(12, 18)
  .map((rest) => `4${rest.slice(1)}`)
  .map((body) => {
    let sum = 0;
    for (let i = 0; i < body.length; i++) {
      const digit = Number(body[body.length - 1 - i]) * (i % 2 === 0 ? 2 : 1);
      sum += digit > 9 ? digit - 9 : digit;
    }
    return body + String((10 - (sum % 10)) % 10);
  });
const grouped = fc
  .tuple(card, mostly("", " ", "-", "."))
  .map(([number_, separator]) =>
    separator === "" ? number_ : (number_.match(/.{1,4}/g) ?? []).join(separator),
  );
const iban = digits(18, 18).map((account) => {
  // DE: 13 14; the check digits behind it.
  const rest = BigInt(`${account}131400`) % 97n;
  return `DE${String(98n - rest).padStart(2, "0")}${account}`;
});
const email = fc
  .tuple(fc.stringMatching(/^[a-z][a-z0-9.]{0,20}[a-z]$/), fc.stringMatching(/^[a-z]{2,12}$/))
  .map(([name, host]) => `${name}@${host}.example`);

const secret = fc.oneof(
  grouped.map((value) => ({ value, mark: CARD_MARK })),
  iban.map((value) => ({ value, mark: IBAN_MARK })),
  email.map((value) => ({ value, mark: EMAIL_MARK })),
);
/** What may stand beside it without becoming part of it. */
const beside = fc.oneof(
  { weight: 9, arbitrary: fc.stringMatching(/^[a-z ,;:!]{0,20}$/) },
  { weight: 1, arbitrary: fc.constantFrom("1 2 ", "12/27 ", "my number is ") },
);

const redactor = new Redactor();

export const textTargets = [
  target({
    name: "phone-numbers",
    what: "numbers as people and providers write them",
    area: "text",
    weight: 8,
    inputs: fc.tuple(written, mostly("", "1", "49", "39", "378")),
    run: ([raw, country]) => {
      const e164 = toE164(raw, country);
      if (e164 !== undefined) {
        must(/^\+[1-9][0-9]{4,14}$/.test(e164), "a number is E.164", e164);
        must(toE164(e164, country) === e164, "E.164 stays as it is", e164);
      }
      must(isE164(raw) === /^\+[1-9][0-9]{4,14}$/.test(raw), "isE164 holds for E.164 alone", raw);
      const canonical = canonicalNumber(raw, country);
      if (canonical !== undefined)
        must(canonicalNumber(canonical, country) === canonical, "one writing stays as it is", {
          canonical,
          again: canonicalNumber(canonical, country),
        });
      const shown = maskNumber(raw).replace(/\D/g, "");
      must(shown.length <= 4, "at most four digits are shown", maskNumber(raw));
    },
  }),
  target({
    name: "redaction",
    what: "words with numbers of cards and accounts and e-mail addresses in them",
    area: "text",
    weight: 8,
    inputs: fc.record({ before: beside, secret, after: beside, key: fc.boolean() }),
    run: ({ before, secret: { value, mark }, after, key }) => {
      const whole = `${before} ${value} ${after}`;
      const out = redactor.text(whole);
      must(!out.includes(value), "what must not be kept is taken out", { whole, out });
      must(out.includes(mark), "its mark stands in its place", { whole, out });
      must(redactor.text(out) === out, "a second time changes nothing", out);
      const object = key ? { [whole]: [1] } : { a: [{ b: whole }] };
      must(!JSON.stringify(redactor.value(object)).includes(value), "the same in values", object);
    },
  }),
  target({
    name: "redaction-any",
    what: "any text and any JSON, long ones too",
    area: "text",
    weight: 3,
    inputs: fc.oneof(
      { weight: 8, arbitrary: json },
      { weight: 1, arbitrary: long },
      { weight: 2, arbitrary: text },
    ),
    run: (value) => {
      const out = redactor.value(value);
      must(typeof out === typeof value || typeof value === "number", "a value keeps its kind", out);
    },
  }),
  target({
    name: "tagged-json",
    what: "stored JSON with dates",
    area: "text",
    weight: 4,
    inputs: fc.oneof(
      fc.dictionary(
        fc.oneof(word, mostly("$date", "$$date", "__proto__")),
        fc.oneof(json, fc.date({ noInvalidDate: true })),
      ),
      json,
    ),
    run: (value) => {
      const once = stringifyTagged(value);
      if (once === undefined) return;
      const back = parseTagged(once);
      must(stringifyTagged(back) === once, "what is read is what was written", once);
      must(({} as Record<string, unknown>).polluted === undefined, "no prototype is touched");
    },
  }),
];
