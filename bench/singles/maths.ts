/**
 * The slope of the line that fits the points best (least squares), in units of y for one of x. Throws RangeError with fewer
 * than two different x.
 */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  let above = 0;
  let below = 0;
  for (const [x, y] of points) {
    above += (x - meanX) * (y - meanY);
    below += (x - meanX) ** 2;
  }
  if (!(below > 0)) throw new RangeError("a slope needs two different x");
  return above / below;
}

/** What one observer costs, as a share of what one call costs; both in the same unit of CPU. */
export function shareOfCall(cost: {
  readonly withThem: number;
  readonly without: number;
  readonly observers: number;
  readonly calls: number;
}): number {
  const { withThem, without, observers, calls } = cost;
  return (withThem - without) / observers / (without / calls);
}

/** Whether a difference is within what the known side differs by itself: its range over the rounds. */
export function withinNoise(added: readonly number[], known: readonly number[]): boolean {
  const sorted = [...added].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return median <= Math.max(...known) - Math.min(...known);
}

/** The order of things in a round: rotated, so that none always comes first. */
export function rotated<T>(things: readonly T[], round: number): T[] {
  const by = things.length === 0 ? 0 : round % things.length;
  return [...things.slice(by), ...things.slice(0, by)];
}
