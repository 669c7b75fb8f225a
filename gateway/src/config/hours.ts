import type { HoursConfig } from "./config-types.js";

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
const DAY_MINUTES = 1440;

/** When something is open: days of the week (0 is Sunday) and minutes since midnight. */
export interface Opening {
  readonly days: readonly number[];
  readonly fromMinute: number;
  /** Up to 1440. Not above `fromMinute`: it ends on the next day. */
  readonly toMinute: number;
}

/** True for names that this machine knows as an IANA time zone. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: name });
    return name !== "";
  } catch {
    return false;
  }
}

/** "Mon-Fri 09:00-17:00"; days are names, ranges and lists of them, none means every day. Undefined when it is none. */
export function parseOpening(text: string): Opening | undefined {
  const match = /^(?:(\S+)\s+)?(\d{2}):(\d{2})\s*-\s*(\d{2}):(\d{2})$/.exec(text.trim());
  if (!match) return undefined;
  const days = match[1] === undefined ? DAYS.map((_, day) => day) : parseDays(match[1]);
  const fromMinute = minuteOf(match[2], match[3]);
  const toMinute = minuteOf(match[4], match[5]);
  if (!days || fromMinute === undefined || toMinute === undefined) return undefined;
  if (fromMinute === DAY_MINUTES || toMinute === fromMinute) return undefined;
  return { days, fromMinute, toMinute };
}

function parseDays(text: string): number[] | undefined {
  const days = new Set<number>();
  for (const part of text.split(",")) {
    const [first, last, more] = part.split("-").map(dayOf);
    if (first === undefined || first < 0 || (last !== undefined && last < 0) || more !== undefined)
      return undefined;
    for (let day = first; ; day = (day + 1) % 7) {
      days.add(day);
      if (day === (last ?? first)) break;
    }
  }
  return [...days];
}

function dayOf(name: string): number {
  return DAYS.findIndex((day) => day.toLowerCase() === name.toLowerCase());
}

function minuteOf(hours: string | undefined, minutes: string | undefined): number | undefined {
  const minute = Number(hours) * 60 + Number(minutes);
  return Number(minutes) < 60 && minute <= DAY_MINUTES ? minute : undefined;
}

/** Day of the week and minute of the day at a place. */
export function localTime(at: Date, timezone: string): { readonly day: number; readonly minute: number } {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: timezone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).formatToParts(at);
  const part = (type: string) => parts.find((p) => p.type === type)?.value ?? "";
  return { day: dayOf(part("weekday")), minute: Number(part("hour")) * 60 + Number(part("minute")) };
}

/** Whether the hours are open at a moment. The end is not included; summer time is the time zone's business. */
export function isOpen(hours: HoursConfig, at: Date): boolean {
  const { day, minute } = localTime(at, hours.timezone);
  const yesterday = (day + 6) % 7;
  return hours.open.some((text) => {
    const opening = parseOpening(text);
    if (!opening) return false;
    const { days, fromMinute, toMinute } = opening;
    if (toMinute > fromMinute) return days.includes(day) && minute >= fromMinute && minute < toMinute;
    return (days.includes(day) && minute >= fromMinute) || (days.includes(yesterday) && minute < toMinute);
  });
}

/** A moment as people at the place would write it: "Mon 09:30". */
export function describeTime(at: Date, timezone: string): string {
  const { day, minute } = localTime(at, timezone);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${DAYS[day]} ${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
}
