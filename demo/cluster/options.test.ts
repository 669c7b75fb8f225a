import { describe, expect, it } from "vitest";
import { UsageError } from "../options.js";
import { CLUSTER_HELP, parseClusterOptions } from "./options.js";

describe("parseClusterOptions", () => {
  it("has defaults", () => {
    expect(parseClusterOptions([])).toEqual({
      once: false,
      json: false,
      nats: undefined,
      mongo: undefined,
      out: undefined,
      calls: 20,
    });
  });

  it("takes servers from outside", () => {
    const args = [
      "--once",
      "--json",
      "--nats",
      "nats://a:4222",
      "--mongo=mongodb://b:27017/?x=1",
      "--calls=12",
    ];
    expect(parseClusterOptions(args)).toMatchObject({
      once: true,
      json: true,
      nats: "nats://a:4222",
      mongo: "mongodb://b:27017/?x=1",
      calls: 12,
    });
  });

  it.each([
    [["--calls", "11"], "--calls"],
    [["--calls", "101"], "--calls"],
    [["--calls", "ten"], "--calls"],
    [["--nats", "a:4222"], "--nats"],
    [["--nats", "http://a"], "--nats"],
    [["--mongo", "mongodb+srv://a"], "--mongo"],
    [["--mongo", "mongodb://a:1,b:2"], "--mongo"],
    [["--twice"], "--twice"],
  ])("refuses %j and names it", (args, name) => {
    expect(() => parseClusterOptions(args)).toThrow(UsageError);
    expect(() => parseClusterOptions(args)).toThrow(name);
  });

  it("keeps passwords out of its words", () => {
    const read = () => parseClusterOptions(["--mongo", "mongodb+srv://user:hidden@a"]);
    expect(read).toThrow(UsageError);
    expect(read).not.toThrow("hidden");
  });

  it("explains each option", () => {
    expect(parseClusterOptions(["--help"])).toBe("help");
    for (const name of ["once", "json", "nats", "mongo", "calls", "out"])
      expect(CLUSTER_HELP).toContain(`--${name}`);
  });
});
