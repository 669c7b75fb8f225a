import { computed, signal } from "@preact/signals";
import { de } from "./de.js";
import { en } from "./en.js";

/** A sentence of the page. */
export type TextKey = keyof typeof en;

const LOCALES: Readonly<Record<string, Readonly<Record<TextKey, string>>>> = { en, de };
const STORED = "callweave.locale";

/** The languages there are, by their own names. */
export const LANGUAGES = { en: "English", de: "Deutsch" } as const;

/** The language of the page: chosen, else the browser's, else English. */
export const locale = signal(initial());

function initial(): string {
  const wanted = [localStorage.getItem(STORED) ?? "", ...navigator.languages];
  return wanted.map((tag) => tag.slice(0, 2)).find((tag) => tag in LOCALES) ?? "en";
}

/** Chooses a language, also for the next time. */
export function setLocale(tag: string): void {
  localStorage.setItem(STORED, tag);
  locale.value = tag;
  document.documentElement.lang = tag;
}

/** A sentence, with `{name}` filled in. */
export function t(key: TextKey, values: Readonly<Record<string, string | number>> = {}): string {
  const text = LOCALES[locale.value]?.[key] ?? en[key];
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** A sentence whose key depends on a value of the contract ("state.ANSWERED"); the value itself when there is none. */
export function tFor(prefix: string, value: string | undefined): string {
  const key = `${prefix}.${value}`;
  return key in en ? t(key as TextKey) : (value ?? "");
}

/** Formats that follow the language; times are in the reader's own zone. */
export const formats = computed(() => {
  const tag = navigator.languages.find((one) => one.startsWith(locale.value)) ?? locale.value;
  return {
    time: new Intl.DateTimeFormat(tag, { hour: "2-digit", minute: "2-digit", second: "2-digit" }),
    day: new Intl.DateTimeFormat(tag, { dateStyle: "medium", timeStyle: "short" }),
    hour: new Intl.DateTimeFormat(tag, { hour: "2-digit" }),
    number: new Intl.NumberFormat(tag),
  };
});

/** 3:07, or 1:02:07. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** A number in groups: "+1 555 0100", "+49 301 234 567". Where it is masked only its ends are left. */
export function phone(number: string, masked: boolean): string {
  if (number === "") return t("caller.withheld");
  const code = number.startsWith("+1") ? 2 : 3;
  if (masked) return `${number.slice(0, code)} ••• ••${number.slice(-2)}`;
  const rest = number.slice(code);
  const groups = code === 2 ? rest.match(/^(\d{3})(\d{3,4}?)(\d{4})?$/)?.slice(1) : rest.match(/\d{1,3}/g);
  return [number.slice(0, code), ...(groups ?? [rest])].filter(Boolean).join(" ");
}
