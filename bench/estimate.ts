/** Something that will be run. */
export interface Part {
  readonly name: string;
  readonly what: string;
  /** When nothing has to be run again. */
  readonly seconds: number;
}

/** What will be run and how long each takes, a line each; of several, all together in the last one. */
export function estimateLines(parts: readonly Part[]): string[] {
  const all = parts.reduce((total, { seconds }) => total + seconds, 0);
  return [
    ...parts.map(({ name, what, seconds }) => `${name}: ${what}; ${about(seconds)}`),
    ...(parts.length > 1 ? [`in all ${about(all)}, more where runs have to be repeated`] : []),
  ];
}

/** A time as people say it. */
export function about(seconds: number): string {
  if (seconds < 90) return `about ${Math.ceil(seconds)} s`;
  if (seconds < 90 * 60) return `about ${Math.round(seconds / 60)} minutes`;
  return `about ${(seconds / 3_600).toFixed(1)} hours`;
}
