/** Average width of a character in ems, for the sans-serif fonts that a viewer may have. */
const CHARACTER_EMS = 0.53;

/** Width of a text, px; an estimate on the wide side. */
export function textWidth(text: string, fontPx: number): number {
  return text.length * fontPx * CHARACTER_EMS;
}

/** A text as it may stand in an SVG. */
export function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** A number with one digit at most. */
export function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Lines of at most `widthPx`; a word that is longer stands alone. */
export function wrap(text: string, widthPx: number, fontPx: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && textWidth(longer, fontPx) > widthPx) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  if (line !== "") lines.push(line);
  return lines;
}

/** Where bars are drawn. */
export interface BarOptions {
  readonly sampleRateHz: number;
  readonly fromMs: number;
  readonly toMs: number;
  /** The x of a time. */
  readonly x: (ms: number) => number;
  readonly middleY: number;
  /** Half the height of the loudest, px. */
  readonly halfPx: number;
}

/** Distance of bars, px. */
const BAR_STEP = 2.5;

/** Sound as vertical bars: the data of a path; empty for silence. */
export function bars(samples: Int16Array, options: BarOptions): string {
  const { sampleRateHz, fromMs, toMs, x, middleY, halfPx } = options;
  const perPx = (toMs - fromMs) / Math.max(1, x(toMs) - x(fromMs));
  const parts: string[] = [];
  // On one grid, whatever the piece.
  const first = Math.ceil(x(fromMs) / BAR_STEP) * BAR_STEP;
  for (let at = first; at < x(toMs); at += BAR_STEP) {
    const startMs = fromMs + (at - x(fromMs)) * perPx;
    const from = Math.max(0, Math.floor((startMs * sampleRateHz) / 1000));
    const to = Math.floor(((startMs + BAR_STEP * perPx) * sampleRateHz) / 1000);
    let peak = 0;
    for (let i = from; i < to && i < samples.length; i++)
      peak = Math.max(peak, Math.abs(samples[i] as number));
    if (peak < 60) continue;
    // Speech is mostly quiet: a power below 1 keeps its shape visible.
    const half = Math.max(0.6, Math.min(1, (peak / 20_000) ** 0.75) * halfPx);
    parts.push(`M${px(at)} ${px(middleY - half)}V${px(middleY + half)}`);
  }
  return parts.join("");
}

/** A label that wants to stand at `x`. */
export interface Label {
  readonly x: number;
  readonly text: string;
}

/** A label with its place. */
export interface PlacedLabel extends Label {
  readonly row: number;
  readonly anchor: "start" | "end";
}

/** Gives each label the first row in which it overlaps no other; one that would leave the picture ends at its `x`. */
export function placeLabels(labels: readonly Label[], fontPx: number, rightPx: number): PlacedLabel[] {
  const rows: Array<Array<{ from: number; to: number }>> = [];
  return [...labels]
    .sort((a, b) => a.x - b.x)
    .map((label) => {
      const width = textWidth(label.text, fontPx) + 12;
      const anchor = label.x + width > rightPx ? ("end" as const) : ("start" as const);
      const from = anchor === "start" ? label.x - 2 : label.x - width;
      const to = from + width;
      let row = 0;
      while (rows[row]?.some((other) => from < other.to && other.from < to)) row++;
      rows[row] ??= [];
      rows[row]?.push({ from, to });
      return { ...label, row, anchor };
    });
}
