import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { repositoryFiles } from "../test/docs/repository.js";
import { version, versionPlaces, versionsIn, withVersion } from "./version.js";

const root = new URL("../", import.meta.url);
const textOf = (path: string) => readFileSync(new URL(path, root), "utf8");

describe("the version", () => {
  const places = versionPlaces();

  it.each(places.map((place) => [place.path, place] as const))(
    "in %s is that of package.json",
    (_, place) => {
      const found = versionsIn(textOf(place.path), place.pattern);
      expect(found.length).toBeGreaterThan(0);
      expect(new Set(found)).toEqual(new Set([version()]));
    },
  );

  it.each(places.map((place) => [place.path, place] as const))("can be changed in %s", (_, place) => {
    const changed = withVersion(textOf(place.path), place.pattern, "9.8.7-rc.1");
    expect(new Set(versionsIn(changed, place.pattern))).toEqual(new Set(["9.8.7-rc.1"]));
    expect(withVersion(changed, place.pattern, version())).toBe(textOf(place.path));
  });

  it("is known in every manifest of a package", () => {
    const manifests = repositoryFiles().filter(
      (path) =>
        /(?:^|\/)(?:package\.json|pyproject\.toml|Cargo\.toml|pom\.xml)$/.test(path) &&
        !/^(?:package\.json$|test\/|examples\/|deploy\/)/.test(path),
    );
    const known = new Set(places.map(({ path }) => path));
    const unknown = manifests.filter(
      (path) =>
        !known.has(path) &&
        !/publish = false|"private": true/.test(textOf(path)) &&
        /^\s*"?version"?\s*[=:]|<version>/m.test(textOf(path)),
    );
    // Those without a version of their own take it from a file that is known.
    expect(unknown).toEqual([]);
  });
});
