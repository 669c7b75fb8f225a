import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../child.js";
import type { SuiteResult } from "./suite.js";

/** Results that are kept: docs/performance.md is made of them. */
export const RESULTS_FOLDER = join(ROOT, "bench/results");

/** What was kept of a suite; undefined when nothing was. */
export function readResult(suite: string, folder = RESULTS_FOLDER): SuiteResult | undefined {
  return readKept<SuiteResult>(suite, folder);
}

/** Keeps the result of a suite; returns its path. */
export function keepResult(result: SuiteResult, folder = RESULTS_FOLDER): string {
  return keep(result.suite, result, folder);
}

/** What was kept by that name; undefined when nothing was. */
export function readKept<T>(name: string, folder = RESULTS_FOLDER): T | undefined {
  const path = join(folder, `${name}.json`);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as T) : undefined;
}

/** Keeps a result by its name; returns its path. Numbers have six digits: more would say nothing. */
export function keep(name: string, result: object, folder = RESULTS_FOLDER): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}.json`);
  const short = (_key: string, value: unknown) =>
    typeof value === "number" ? Number(value.toPrecision(6)) : value;
  writeFileSync(path, `${JSON.stringify(result, short, 2)}\n`);
  return path;
}
