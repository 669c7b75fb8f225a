import { describe, expect, it } from "vitest";
import { commandOf, optionsOf, wants } from "./options.js";

describe("the command line", () => {
  it("asks for every part, for some, or with --quick and --gate for none of them", () => {
    expect(wants(optionsOf([]), "desks")).toBe(true);
    const some = optionsOf(["--only", "cpu,pairs"]);
    expect(["cpu", "pairs", "latency"].map((name) => wants(some, name))).toEqual([true, true, false]);
    expect(wants(optionsOf(["--quick"]), "cpu")).toBe(false);
    expect(wants(optionsOf(["--gate"]), "cpu")).toBe(false);
  });

  it("is told for each part apart, with what differs from the defaults and nothing else", () => {
    const options = optionsOf(["--only", "pairs", "--rounds", "3", "--loads", "20,40", "--save", "--json"]);
    expect(commandOf("desks", options)).toBe("npm run bench -- --only desks --rounds 3 --loads 20,40");
    expect(commandOf("gate", optionsOf(["--gate"]))).toBe("npm run bench -- --gate");
  });
});
