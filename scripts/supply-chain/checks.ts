import type { Advisory } from "./policy.js";

/** What package-lock.json says of one package. */
export interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
}

/** package-lock.json, as far as it is looked at. */
export interface LockFile {
  readonly lockfileVersion: number;
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface Entry extends LockedPackage {
  readonly name: string;
  readonly path: string;
}

/** What others have written, without this repository's own packages. */
function foreign(lock: LockFile): Entry[] {
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path.includes("node_modules/") && !entry.link)
    .map(([path, entry]) => ({ ...entry, path, name: path.slice(path.lastIndexOf("node_modules/") + 13) }));
}

/** Each package is pinned by a hash, and none comes from anywhere but a registry. */
export function lockFaults(lock: LockFile): string[] {
  const faults = lock.lockfileVersion === 3 ? [] : [`lockfileVersion is ${lock.lockfileVersion}, not 3`];
  for (const { path, integrity, resolved } of foreign(lock)) {
    if (!integrity?.startsWith("sha512-")) faults.push(`${path} has no sha512`);
    if (resolved && /^(?:git|http:|file:)|github/.test(resolved))
      faults.push(`${path} comes from ${resolved}`);
  }
  return faults;
}

/** Each package that would run a program while it is installed is decided on, and no decision is left over. */
export function scriptFaults(lock: LockFile, decided: Readonly<Record<string, boolean>>): string[] {
  const running = new Set(
    foreign(lock)
      .filter((entry) => entry.hasInstallScript)
      .map(({ name }) => name),
  );
  return [
    ...[...running]
      .filter((name) => decided[name] === undefined)
      .map((name) => `${name} has an install script; package.json's allowScripts says nothing of it`),
    ...Object.keys(decided)
      .filter((name) => !running.has(name))
      .map((name) => `allowScripts names ${name}, which has no install script`),
  ];
}

/** Each licence is on the list, or the package has an override; no override is left over. */
export function licenceFaults(
  lock: LockFile,
  allowed: readonly string[],
  overrides: Readonly<Record<string, string>>,
): string[] {
  const packages = foreign(lock);
  const bad = packages.filter(({ license }) => !permits(license ?? "", allowed));
  return [
    ...bad
      .filter(({ name }) => !overrides[name])
      .map(({ path, license }) => `${path}: ${license ?? "no licence"}`),
    ...Object.keys(overrides)
      .filter((name) => !bad.some((entry) => entry.name === name))
      .map((name) => `the override for ${name} is not needed`),
  ];
}

/** Whether an SPDX expression of names with AND and OR, with at most one pair of parentheses around it, is allowed. */
export function permits(expression: string, allowed: readonly string[]): boolean {
  const bare = expression.replace(/^\(|\)$/g, "");
  if (/[()]/.test(bare)) return false;
  return bare.split(" OR ").some((all) => all.split(" AND ").every((name) => allowed.includes(name)));
}

/** No package is older than the version that mends a known weakness. */
export function advisoryFaults(lock: LockFile, advisories: readonly Advisory[]): string[] {
  return advisories.flatMap((advisory) =>
    foreign(lock)
      .filter(({ name, version }) => name === advisory.package && older(version ?? "0", advisory.fixed))
      .map(
        ({ path, version }) =>
          `${path} ${version}: ${advisory.id}, ${advisory.what}; ${advisory.fixed} mends it`,
      ),
  );
}

/** Compares versions of three numbers; one before a release (1.0.0-rc.1) is older than the release. */
export function older(version: string, than: string): boolean {
  const parts = (text: string) => (text.split("-")[0] as string).split(".").map(Number);
  const [a, b] = [parts(version), parts(than)];
  for (const i of [0, 1, 2]) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return version.includes("-") && !than.includes("-");
}

/** A CycloneDX bill of materials names every package of the lock file that it should, each with its hash. */
export function billFaults(lock: LockFile, bill: { components?: readonly BillComponent[] }): string[] {
  const named = new Set(
    (bill.components ?? [])
      .filter(({ hashes }) => (hashes?.length ?? 0) > 0)
      .map(({ group, name, version }) => `${group ? `${group}/` : ""}${name}@${version}`),
  );
  return foreign(lock)
    .map(({ name, version }) => `${name}@${version}`)
    .filter((id) => !named.has(id))
    .map((id) => `the bill of materials does not name ${id} with its hash`);
}

/** One component of a CycloneDX document. */
export interface BillComponent {
  readonly group?: string;
  readonly name: string;
  readonly version?: string;
  readonly hashes?: readonly unknown[];
}
