import { type Evidence, providerEvent, ringing } from "./evidence.js";
import { bars, escapeText, type Label, placeLabels, px, textWidth, wrap } from "./svg-tools.js";
import type { TimelineLine } from "./timeline.js";
import { statesOf, type Verdict } from "./verifier.js";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const LEFT = 104;
const RIGHT = 24;
const PX_PER_SECOND = 31;
const MIN_WIDTH = 760;
const TOP = 128;
const WAVE_HEIGHT = 52;
const TEXT_PX = 12;
const LINE_PX = 15;
const LABEL_PX = 11;
const ROW_PX = 16;
/** Widest column of a transcript, px. */
const MAX_COLUMN = 230;

const INK = "#1f2937";
const MUTED = "#6b7280";
const COLOUR = {
  caller: "#0e7490",
  agent: "#7c3aed",
  specialist: "#15803d",
  hold: "#cbb8f2",
  event: "#b45309",
  command: "#1d4ed8",
} as const;

const STATES: Readonly<Record<string, { fill: string; ink: string }>> = {
  PENDING: { fill: "#e5e7eb", ink: "#374151" },
  ANSWERED: { fill: "#ede9fe", ink: "#5b21b6" },
  CONNECTED: { fill: "#dcfce7", ink: "#166534" },
};

/** A piece of transcript. */
interface Said {
  readonly atMs: number;
  readonly text: string;
  /** Smaller, below: what was understood of it. */
  readonly understood?: string;
}

/**
 * The call as a picture: a lane per party with sound and words, what happened, what was commanded, on one time axis.
 * @returns the text of an SVG file
 */
export function drawCall(evidence: Evidence, verdict: Verdict, lines: readonly TimelineLine[]): string {
  const seconds = Math.ceil(evidence.durationMs / 1000 + 0.5);
  const width = Math.max(MIN_WIDTH, LEFT + seconds * PX_PER_SECOND + RIGHT);
  const scale = (width - LEFT - RIGHT) / (seconds * 1000);
  const drawing = new Drawing(evidence, verdict, lines, width, (ms) => LEFT + ms * scale);
  return drawing.draw(seconds);
}

class Drawing {
  readonly #front: string[] = [];
  readonly #back: string[] = [];
  #y = TOP;

  constructor(
    private readonly evidence: Evidence,
    private readonly verdict: Verdict,
    private readonly lines: readonly TimelineLine[],
    private readonly width: number,
    private readonly x: (ms: number) => number,
  ) {}

  draw(seconds: number): string {
    this.#title();
    this.#states();
    this.#person("Caller", COLOUR.caller, this.evidence.said.caller, this.#callerSaid());
    this.#agent();
    this.#person("Specialist", COLOUR.specialist, this.evidence.said.specialist, this.#saidBy("specialist"));
    this.#labels("Events", "event", COLOUR.event);
    this.#labels("Commands", "command", COLOUR.command);
    const height = this.#y + 16;
    this.#grid(seconds, height);
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" width="${px(this.width)}" height="${px(height)}" viewBox="0 0 ${px(this.width)} ${px(height)}" font-family="${FONT}">`,
      `<title>${escapeText(this.#name())}</title>`,
      `<rect width="100%" height="100%" fill="#ffffff"/>`,
      ...this.#back,
      ...this.#front,
      "</svg>",
      "",
    ].join("\n");
  }

  #name(): string {
    const { caller, callee } = this.evidence.variant;
    return `A call of ${(this.evidence.durationMs / 1000).toFixed(0)} seconds: caller ${caller}, callee ${callee}`;
  }

  #title(): void {
    this.#text(24, 34, this.#name(), { size: 18, weight: 600 });
    const { speechToText } = this.evidence;
    const failed = this.verdict.checks.filter(({ ok }) => !ok).map(({ name }) => name);
    const heard = speechToText === "scripted" ? "words given to the agent" : `understood by ${speechToText}`;
    const checked =
      failed.length === 0 ? `${this.verdict.checks.length} checks passed` : `failed: ${failed.join(", ")}`;
    this.#text(24, 56, `Sound as the provider played it; ${heard}; ${checked}.`, { size: 12, fill: MUTED });
  }

  /** The bar of states below the title, and what it means in the lanes. */
  #states(): void {
    const y = TOP - 30;
    const height = 20;
    const at = (type: string) => this.evidence.gatewayEvents.find((event) => event.type === type)?.atMs;
    const begins = [at("arrived"), at("answered"), at("connected")];
    const overMs = this.evidence.durationMs;
    const leftMs = at("connected") === undefined ? at("ended") : overMs;
    const states = statesOf(this.evidence).filter((state) => state !== "DISCONNECTED");
    const starts = begins.filter((ms) => ms !== undefined);
    states.forEach((state, index) => {
      const from = this.x(starts[index] ?? 0);
      const to = this.x(starts[index + 1] ?? leftMs ?? overMs);
      const { fill, ink } = STATES[state] ?? { fill: "#e5e7eb", ink: INK };
      this.#front.push(
        `<rect x="${px(from)}" y="${y}" width="${px(Math.max(2, to - from - 2))}" height="${height}" rx="4" fill="${fill}"/>`,
      );
      const texts =
        state === "CONNECTED"
          ? ["CONNECTED: caller and specialist, the agent has left", "CONNECTED, the agent has left", state]
          : [state];
      const shown = texts.find((t) => textWidth(t, 11) < to - from - 12);
      if (shown) this.#text(from + 8, y + 14, shown, { size: 11, weight: 600, fill: ink });
    });
    this.#text(24, y + 14, "State", { size: 12, weight: 600, fill: MUTED });
  }

  #callerSaid(): Said[] {
    const said = this.#saidBy("caller");
    const understood = this.lines.filter(
      ({ lane, text }) => lane === "agent" && text.startsWith("understood: "),
    );
    return said.map((words, index) => {
      const nextMs = said[index + 1]?.atMs ?? Number.POSITIVE_INFINITY;
      const texts = understood
        .filter(({ atMs }) => atMs >= words.atMs - 200 && atMs < nextMs - 200)
        .map(({ text }) => text.slice("understood: ".length));
      return texts.length > 0 ? { ...words, understood: texts.join(" / ") } : words;
    });
  }

  #saidBy(who: "caller" | "specialist"): Said[] {
    return this.lines
      .filter(({ lane }) => lane === who)
      .map(({ atMs, text }) => ({ atMs, text: text.replace(/^“|”$/g, "") }));
  }

  #person(name: string, colour: string, samples: Int16Array, said: readonly Said[]): void {
    this.#lane(name, colour, () => {
      this.#wave(samples, colour, 0, this.evidence.durationMs);
      return this.#transcript(said);
    });
  }

  #agent(): void {
    const { durationMs, said } = this.evidence;
    const spoken = this.verdict.agentSaid.flatMap(({ text, match }) => (match ? [{ text, match }] : []));
    this.#lane("Agent", COLOUR.agent, () => {
      let atMs = 0;
      for (const { match } of spoken) {
        this.#wave(said.agent, COLOUR.hold, atMs, match.startMs);
        this.#wave(said.agent, COLOUR.agent, match.startMs, match.endMs);
        atMs = match.endMs;
      }
      this.#wave(said.agent, COLOUR.hold, atMs, durationMs);
      const words = spoken.map(({ text, match }) => ({ atMs: match.startMs, text }));
      const hold = this.lines.find(({ text }) => text === "hold sound on");
      if (hold) words.push({ atMs: hold.atMs + 100, text: "(hold sound)" });
      return this.#transcript(words.sort((a, b) => a.atMs - b.atMs));
    });
  }

  #lane(name: string, colour: string, fill: () => number): void {
    const top = this.#y;
    this.#text(24, top + WAVE_HEIGHT / 2 + 5, name, { size: 13, weight: 600, fill: colour });
    const textHeight = fill();
    this.#y = top + WAVE_HEIGHT + textHeight + 14;
    this.#front.push(
      `<line x1="24" x2="${px(this.width - RIGHT)}" y1="${px(this.#y)}" y2="${px(this.#y)}" stroke="#e5e7eb"/>`,
    );
    this.#y += 8;
  }

  #wave(samples: Int16Array, colour: string, fromMs: number, toMs: number): void {
    const middleY = this.#y + WAVE_HEIGHT / 2;
    const { sampleRateHz } = this.evidence;
    const data = bars(samples, {
      sampleRateHz,
      fromMs,
      toMs,
      x: this.x,
      middleY,
      halfPx: WAVE_HEIGHT / 2 - 4,
    });
    if (data)
      this.#front.push(`<path d="${data}" stroke="${colour}" stroke-width="1.6" stroke-linecap="round"/>`);
  }

  /** Words below the sound, each in the room up to the next. Returns the height. */
  #transcript(said: readonly Said[]): number {
    const top = this.#y + WAVE_HEIGHT + 4;
    let height = 0;
    said.forEach(({ atMs, text, understood }, index) => {
      const from = this.x(atMs);
      const next = said[index + 1];
      const room = (next ? this.x(next.atMs) : this.width - 8) - from - 10;
      const column = Math.max(70, Math.min(MAX_COLUMN, room));
      let y = top + TEXT_PX;
      for (const line of wrap(text, column, TEXT_PX)) {
        this.#text(from, y, line, { size: TEXT_PX, fill: text.startsWith("(") ? MUTED : INK });
        y += LINE_PX;
      }
      const same = understood?.toLowerCase() === text.toLowerCase().replace(/[^a-z' ]/g, "");
      const below = understood === undefined ? "" : same ? "✓ understood" : `understood: ${understood}`;
      for (const line of below === "" ? [] : wrap(below, column, 11)) {
        this.#text(from, y, line, { size: 11, fill: MUTED, italic: true });
        y += LINE_PX;
      }
      height = Math.max(height, y - top - TEXT_PX + 4);
    });
    return height;
  }

  #labels(name: string, lane: "event" | "command", colour: string): void {
    const top = this.#y;
    const labels: Label[] = this.lines
      .filter((line) => line.lane === lane && !/^(hold sound|offered)/.test(line.text))
      .sort((a, b) => a.atMs - b.atMs)
      .map(({ atMs, text }) => ({ x: this.x(Math.min(atMs, this.evidence.durationMs)), text }));
    const placed = placeLabels(labels, LABEL_PX, this.width - 6);
    const baseline = top + 10;
    this.#text(24, top + 14, name, { size: 13, weight: 600, fill: colour });
    this.#front.push(
      `<line x1="${LEFT}" x2="${px(this.width - RIGHT)}" y1="${baseline}" y2="${baseline}" stroke="${colour}" stroke-opacity="0.25"/>`,
    );
    for (const { x, row } of placed) {
      const y = baseline + 18 + row * ROW_PX;
      this.#front.push(
        `<line x1="${px(x)}" x2="${px(x)}" y1="${baseline}" y2="${px(y)}" stroke="${colour}" stroke-opacity="0.35"/>`,
        `<circle cx="${px(x)}" cy="${baseline}" r="3" fill="${colour}"/>`,
      );
    }
    for (const { x, row, anchor, text } of placed) {
      const y = baseline + 18 + row * ROW_PX;
      this.#text(x + (anchor === "start" ? 5 : -5), y, text, { size: LABEL_PX, anchor, halo: true });
    }
    const rows = Math.max(0, ...placed.map(({ row }) => row)) + 1;
    this.#y = baseline + 18 + rows * ROW_PX + 4;
  }

  /** Seconds, ringing and the leaving of the agent, behind everything. */
  #grid(seconds: number, height: number): void {
    const bottom = height - 12;
    for (const { startMs, endMs } of ringing(this.evidence)) {
      const from = this.x(startMs);
      const to = this.x(endMs);
      this.#back.push(
        `<rect x="${px(from)}" y="${TOP}" width="${px(to - from)}" height="${px(bottom - TOP)}" fill="#fef3c7" fill-opacity="0.55"/>`,
      );
    }
    for (let second = 0; second <= seconds; second++) {
      const x = px(this.x(second * 1000));
      const five = second % 5 === 0;
      this.#back.push(
        `<line x1="${x}" x2="${x}" y1="${TOP - 4}" y2="${px(bottom)}" stroke="${five ? "#e5e7eb" : "#f5f6f8"}"/>`,
      );
      if (five) {
        this.#text(this.x(second * 1000), TOP - 40, `${second} s`, {
          size: 11,
          fill: MUTED,
          anchor: "middle",
        });
      }
    }
    const left = providerEvent(this.evidence, "agent.left");
    if (!left) return;
    const x = px(this.x(left.atMs));
    this.#back.push(
      `<line x1="${x}" x2="${x}" y1="${TOP}" y2="${px(bottom)}" stroke="${COLOUR.agent}" stroke-dasharray="4 4"/>`,
    );
  }

  #text(
    x: number,
    y: number,
    text: string,
    style: {
      readonly size: number;
      readonly fill?: string;
      readonly weight?: number;
      readonly italic?: boolean;
      readonly anchor?: "start" | "middle" | "end";
      /** White around the letters, where lines pass behind. */
      readonly halo?: boolean;
    },
  ): void {
    const more = [
      style.weight ? ` font-weight="${style.weight}"` : "",
      style.italic ? ' font-style="italic"' : "",
      style.halo
        ? ' stroke="#ffffff" stroke-opacity="0.85" stroke-width="3" stroke-linejoin="round" paint-order="stroke"'
        : "",
      style.anchor && style.anchor !== "start" ? ` text-anchor="${style.anchor}"` : "",
    ].join("");
    this.#front.push(
      `<text x="${px(x)}" y="${px(y)}" font-size="${style.size}" fill="${style.fill ?? INK}"${more}>${escapeText(text)}</text>`,
    );
  }
}
