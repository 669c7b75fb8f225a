import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GatewayConfig } from "./config-types.js";
import { describeServing } from "./describe-serving.js";
import { describeTime, isOpen, parseOpening } from "./hours.js";
import { loadConfig } from "./load-config.js";
import { explainRoute, routeCall } from "./routes.js";

const YAML = `
connectors:
  - { name: main, kind: telcoflow, tenant: acme, auth: { api_key: x, connector_uuid: y }, call_flow: { inbound_call: MISSED_ONLY } }
  - { name: trial, kind: telcoflow, auth: { api_key: x, connector_uuid: y }, only_callers: ["+15550100"], sample_rate_hz: 8000 }
  - { name: off, kind: telcoflow, auth: { api_key: x, connector_uuid: y }, inbound: false }
routes:
  - connector: main
    callee: "+15550101"
    hours: { timezone: Europe/Berlin, open: ["Mon-Fri 09:00-17:00"] }
    pool: support
    locale: de-DE
    unserved: queue
  - { connector: main, callee: "+15550101", unserved: answer_and_hold, pool: night }
  - { caller: ["+1555*", withheld], callee: "+15550103", tenant: other, ring_time_seconds: 20 }
  - { connector: trial, callee: "+155501*", unserved: leave }
pools:
  - { name: support, tenant: acme }
  - { name: night, tenant: acme }
`;

let folder = "";
let config: GatewayConfig;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "routes-"));
  writeFileSync(join(folder, "callweave.yaml"), YAML);
  config = loadConfig({ cwd: folder, env: { HOME: "/home/user" }, platform: "linux" });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MONDAY_NOON = new Date("2026-03-02T11:00:00Z");
const route = (connector: string, from: string, to: string, at = MONDAY_NOON) =>
  routeCall(config, { connector, from, to, at });

describe("routeCall", () => {
  it("takes the first route that matches", () => {
    expect(route("main", "+15550100", "+1 555 0101")).toMatchObject({
      taken: true,
      index: 0,
      pool: "support",
      tenant: "acme",
      locale: "de-DE",
      unserved: "queue",
    });
  });

  it("looks at the hours of the place", () => {
    for (const [time, pool] of [
      ["2026-03-02T07:59:00Z", "night"],
      ["2026-03-02T08:00:00Z", "support"],
      ["2026-03-02T15:59:59Z", "support"],
      ["2026-03-02T16:00:00Z", "night"],
      // An hour earlier in summer.
      ["2026-06-01T07:00:00Z", "support"],
      ["2026-06-01T15:00:00Z", "night"],
      ["2026-03-01T11:00:00Z", "night"],
    ] as const)
      expect(route("main", "", "+15550101", new Date(time)).pool, time).toBe(pool);
  });

  it("matches beginnings of numbers and withheld ones", () => {
    expect(route("main", "+15550100", "+15550103")).toMatchObject({
      index: 2,
      tenant: "other",
      ringTimeSeconds: 20,
    });
    expect(route("main", "", "+15550103").index).toBe(2);
    expect(route("main", "+495550100", "+15550103").index).toBe(-1);
  });

  it("falls back to the pool default and the callee", () => {
    const routed = route("main", "+15550100", "+15550109");
    expect(routed).toMatchObject({
      index: -1,
      pool: "default",
      tenant: "acme",
      locale: "",
      unserved: "connect",
      ringTimeSeconds: 60,
    });
    expect(routed.route).toBeUndefined();
    expect(routed.why.at(-1)).toBe("default route: pool default of tenant acme");
  });

  it("says when a connector takes no such call", () => {
    expect(route("trial", "+15550100", "+15550101")).toMatchObject({
      taken: true,
      index: 3,
      unserved: "leave",
    });
    expect(route("trial", "+15550102", "+15550101").taken).toBe(false);
    expect(route("trial", "", "+15550101").why[0]).toMatch(/a withheld number is not among only_callers/);
    expect(route("off", "+15550100", "+15550101").taken).toBe(false);
    expect(route("none", "+15550100", "+15550101")).toMatchObject({ taken: false, tenant: "default" });
  });
});

describe("explainRoute", () => {
  it("shows each step", () => {
    const at = new Date("2026-03-02T18:30:00Z");
    expect(explainRoute(config, { connector: "main", from: "+15550100", to: "+15550101", at })).toBe(
      [
        "call from +15550100 to +15550101 by connector main:",
        "  connector main: takes the call",
        "  route 1: no, closed at Mon 19:30 Europe/Berlin, open Mon-Fri 09:00-17:00",
        "  route 2: yes, pool night of tenant acme",
        "result: offered to pool night of tenant acme",
        "        nobody free: it is answered and hears hold audio until somebody is free",
      ].join("\n"),
    );
  });

  it("goes through all connectors when none is named", () => {
    const text = explainRoute(config, { from: "+15550102", to: "+15550101", at: MONDAY_NOON });
    expect(text.split("\n\n").length).toBe(3);
    expect(text).toContain("+15550102 is not among only_callers");
    expect(text).toContain("result: left to the provider");
  });
});

describe("describeServing", () => {
  it("says which calls are taken, for whom and how long things are kept", () => {
    const lines = describeServing(config);
    expect(lines).toEqual([
      "connector main (telcoflow, tenant acme): takes inbound calls of everybody; 24000 Hz mixed; sets the call flow to MISSED_ONLY",
      "connector trial (telcoflow, tenant default): takes inbound calls of 1 number only (***0100); 8000 Hz mixed; leaves the call flow as it is at the provider",
      "connector off (telcoflow, tenant default): takes no inbound calls; 24000 Hz mixed; leaves the call flow as it is at the provider",
      "route 1: connector main, to ***0101, Mon-Fri 09:00-17:00 Europe/Berlin: pool support; nobody free: it waits, ringing, until somebody is free",
      "route 2: connector main, to ***0101: pool night; nobody free: it is answered and hears hold audio until somebody is free",
      "route 3: to ***0103, from +1555* or withheld: pool default of tenant other; nobody free: the original callee rings for 20 s",
      "route 4: connector trial, to +155501*: pool default; nobody free: it is left to the provider",
      "all other calls: pool default; nobody free: the original callee rings for 60 s",
      "gRPC on 127.0.0.1:7070, for this machine only, without keys",
      "events are kept 7 days, contexts 30 days after the last write, in /home/user/.local/state/callweave",
      "who listened, read or was refused is kept 365 days in /home/user/.local/state/callweave",
    ]);
  });
});

describe("hours", () => {
  it.each([
    ["Mon-Fri 09:00-17:00", [1, 2, 3, 4, 5], 540, 1020],
    ["sat,SUN 10:00 - 24:00", [6, 0], 600, 1440],
    ["Fri-Mon 22:00-06:00", [5, 6, 0, 1], 1320, 360],
    ["00:00-24:00", [0, 1, 2, 3, 4, 5, 6], 0, 1440],
  ])("reads %s", (text, days, fromMinute, toMinute) => {
    expect(parseOpening(text)).toEqual({ days, fromMinute, toMinute });
  });

  it.each([
    "",
    "Mon",
    "9-17",
    "Mon 09:00-09:00",
    "Mon 24:00-02:00",
    "Mon 09:60-10:00",
    "Mon 09:00-25:00",
    "Foo 09:00-10:00",
    "Mon- 09:00-10:00",
    "Mon-Tue-Wed 09:00-10:00",
  ])("refuses %s", (text) => {
    expect(parseOpening(text)).toBeUndefined();
  });

  it("goes over midnight", () => {
    const hours = { timezone: "UTC", open: ["Fri 22:00-06:00"] };
    for (const [time, open] of [
      ["2026-03-06T21:59:00Z", false],
      ["2026-03-06T22:00:00Z", true],
      ["2026-03-07T05:59:00Z", true],
      ["2026-03-07T06:00:00Z", false],
      ["2026-03-07T22:30:00Z", false],
    ] as const)
      expect(isOpen(hours, new Date(time)), time).toBe(open);
  });

  it("shows a time as people write it", () => {
    expect(describeTime(new Date("2026-03-02T00:05:00Z"), "America/New_York")).toBe("Sun 19:05");
    expect(describeTime(new Date("2026-03-02T00:05:00Z"), "UTC")).toBe("Mon 00:05");
  });
});
