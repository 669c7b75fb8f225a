import { describe, expect, it } from "vitest";
import { AllowedHosts, isHostEntry } from "./targets.js";

type Found = readonly { readonly address: string; readonly family: number }[];

/** What a socket to the host would get. */
function lookUp(hosts: AllowedHosts, hostname: string, options: object = { all: true }): Promise<unknown> {
  return new Promise((resolve, reject) =>
    hosts.lookup(hostname, options, (error, found) => (error ? reject(error) : resolve(found))),
  );
}

describe("AllowedHosts", () => {
  const hosts = new AllowedHosts(["hooks.example.com", "localhost", "127.0.0.1", "10.1.0.0/16", "fd00::5"]);

  it.each([
    ["https://hooks.example.com/a?b=c", undefined],
    ["https://HOOKS.example.com:8443/", undefined],
    ["http://127.0.0.1:9/", undefined],
    ["http://localhost:9/", undefined],
    ["https://10.1.2.3/", undefined],
    ["https://[fd00::5]/", undefined],
    ["http://hooks.example.com/", "must be https://, or http:// to a loopback address"],
    ["http://10.1.2.3/", "must be https://, or http:// to a loopback address"],
    ["ftp://hooks.example.com/", "must be https://, or http:// to a loopback address"],
    ["https://hooks.example.com.evil.example/", "must be of a host in webhooks_allowed_hosts"],
    ["https://10.2.0.1/", "must be of a host in webhooks_allowed_hosts"],
    ["http://127.0.0.2/", "must be of a host in webhooks_allowed_hosts"],
    // Other ways to write 127.0.0.1 and 169.254.169.254: the URL makes them plain.
    ["http://2130706433/", undefined],
    ["https://0xa9fea9fe/", "must be of a host in webhooks_allowed_hosts"],
    ["https://user:word@hooks.example.com/", "must not hold a user or a password"],
    ["https://hooks.example.com/#x", "must not hold a fragment"],
    ["hooks.example.com", "must be an address (https://…)"],
  ])("%s: %s", (url, problem) => {
    expect(hosts.problemOf(url)).toBe(problem);
  });

  it.each([
    ["hooks.example.com", "93.184.216.34", true],
    ["hooks.example.com", "10.1.9.9", true],
    ["hooks.example.com", "10.2.0.0", false],
    ["hooks.example.com", "127.0.0.2", false],
    ["hooks.example.com", "169.254.169.254", false],
    ["hooks.example.com", "172.16.0.1", false],
    ["hooks.example.com", "172.32.0.1", true],
    ["hooks.example.com", "100.64.0.1", false],
    ["hooks.example.com", "0.0.0.0", false],
    ["hooks.example.com", "224.0.0.1", false],
    ["hooks.example.com", "::1", false],
    ["hooks.example.com", "::ffff:10.2.0.1", false],
    ["hooks.example.com", "fe80::1", false],
    ["hooks.example.com", "fd00::6", false],
    ["hooks.example.com", "64:ff9b::a9fe:a9fe", false],
    ["hooks.example.com", "2002:a9fe:a9fe::1", false],
    ["hooks.example.com", "2606:2800:220:1::1", true],
    ["localhost", "127.0.0.1", true],
    ["localhost", "127.0.0.9", true],
    ["localhost", "::1", true],
    ["localhost", "93.184.216.34", false],
  ])("%s at %s: %s", (host, address, allowed) => {
    expect(hosts.allows(host, address)).toBe(allowed);
  });

  it("gives a socket none but allowed addresses, whatever the name stands for this time", async () => {
    const answers: Found[] = [
      [{ address: "93.184.216.34", family: 4 }],
      [
        { address: "192.168.0.1", family: 4 },
        { address: "93.184.216.34", family: 4 },
      ],
      [{ address: "169.254.169.254", family: 4 }],
      [],
    ];
    const rebound = new AllowedHosts(["hooks.example.com"], (_host, done) =>
      done(null, answers.shift() ?? []),
    );
    const only = [{ address: "93.184.216.34", family: 4 }];
    expect(await lookUp(rebound, "hooks.example.com")).toEqual(only);
    expect(await lookUp(rebound, "hooks.example.com")).toEqual(only);
    await expect(lookUp(rebound, "hooks.example.com")).rejects.toMatchObject({ code: "ERR_TARGET_REFUSED" });
    await expect(lookUp(rebound, "hooks.example.com")).rejects.toMatchObject({ code: "ERR_TARGET_REFUSED" });
  });

  it("keeps to the family that is wanted, and passes errors on", async () => {
    const both: Found = [
      { address: "2606:2800:220:1::1", family: 6 },
      { address: "93.184.216.34", family: 4 },
    ];
    const named = new AllowedHosts(["a.example"], (_host, done) => done(null, both));
    expect(await lookUp(named, "a.example", { family: 4 })).toBe("93.184.216.34");
    const away = new AllowedHosts(["a.example"], (_host, done) =>
      done(Object.assign(new Error("no"), { code: "ENOTFOUND" }), []),
    );
    await expect(lookUp(away, "a.example")).rejects.toMatchObject({ code: "ENOTFOUND" });
  });

  it("takes names, addresses and ranges, and nothing else", () => {
    for (const entry of ["a.example", "localhost", "10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"])
      expect(isHostEntry(entry), entry).toBe(true);
    for (const entry of [
      "",
      "*",
      "*.example",
      "https://a.example",
      "a.example:443",
      "10.0.0.0/33",
      "10.0.0.0/",
      "a/8",
      "10.0.0.0/8/8",
    ])
      expect(isHostEntry(entry), entry).toBe(false);
  });
});
