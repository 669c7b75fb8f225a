/** One line of JSON per event on standard error, or a short text for people, or nothing. Never words of a talk, never a key. */
export type LogFormat = "json" | "text" | "off";

/** `event` is a fixed word; the fields are never words of a talk, numbers come masked. */
export type Log = (event: string, fields?: Readonly<Record<string, unknown>>) => void;

/** Log lines in a format; `write` is given each of them, its end of line included. Default: standard error. */
export function makeLog(
  format: LogFormat,
  write: (line: string) => void = (line) => process.stderr.write(line),
): Log {
  if (format === "off") return () => {};
  return (event, fields = {}) => {
    if (format === "json") write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`);
    else {
      const rest = Object.entries(fields).map(([name, value]) => `${name}=${String(value)}`);
      write(`${[event.replaceAll("_", " "), ...rest].join(" ")}\n`);
    }
  };
}

/** A phone number as logs may show it: the last four digits of a long one, the last two of a short one. */
export function maskNumber(number: string): string {
  const digits = number.replace(/\D/g, "");
  if (number === "") return "withheld";
  const kept = digits.length >= 7 ? 4 : digits.length >= 4 ? 2 : 0;
  return `***${kept === 0 ? "" : digits.slice(-kept)}`;
}
