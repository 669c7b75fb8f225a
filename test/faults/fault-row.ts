/** A test that shows a row: its file, and its title without the mark. */
export interface FaultTest {
  /** Path from the root of the repository. */
  readonly file: string;
  /** As it stands in the file, without the mark "(fault N)" at its end. */
  readonly title: string;
}

/** One fault that the product is to survive. */
export interface FaultRow {
  /** 1 to 55; tests carry it in their title. */
  readonly number: number;
  /** What goes wrong, in plain words. */
  readonly fault: string;
  /** What this product does then. */
  readonly promise: string;
  /** How the tests make it happen. */
  readonly injected: string;
  readonly tests: readonly FaultTest[];
  /** What is not promised, or not covered by a test. */
  readonly limit: string;
}

/** Tests of one file. */
export function inFile(file: string, ...titles: readonly string[]): FaultTest[] {
  return titles.map((title) => ({ file, title }));
}

/** Tests of a file in test/integration. */
export function integration(name: string, ...titles: readonly string[]): FaultTest[] {
  return inFile(`test/integration/${name}.test.ts`, ...titles);
}

/** Tests of a file in test/faults. */
export function faults(name: string, ...titles: readonly string[]): FaultTest[] {
  return inFile(`test/faults/${name}.test.ts`, ...titles);
}

/** Unit tests beside a source of the gateway. */
export function unit(path: string, ...titles: readonly string[]): FaultTest[] {
  return inFile(`gateway/src/${path}.test.ts`, ...titles);
}
