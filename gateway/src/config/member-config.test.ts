import { describe, expect, it } from "vitest";
import { ConfigError } from "./config-error.js";
import { loadConfig } from "./load-config.js";
import { memberConfig } from "./member-config.js";

const NATS = { NATS_URL: "nats://127.0.0.1:4222" };

const load = (env: Record<string, string>) =>
  loadConfig({ env: { HOME: "/home/user", ...env }, cwd: "/nowhere", platform: "linux" });

function problemsOf(env: Record<string, string>): string[] {
  try {
    load(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ key, rule }) => `${key} ${rule}`);
    throw error;
  }
  return [];
}

describe("several gateways of one file", () => {
  it("each have an id, a folder and ports of their own, ten apart", () => {
    const config = load({ ...NATS, CALLWEAVE_GATEWAYS: "3", CALLWEAVE_DESK_HOST: "127.0.0.1" });
    const members = [1, 2, 3].map((number) => memberConfig(config, "a", number));
    expect(members.map(({ gateway }) => gateway.id)).toEqual(["a-1", "a-2", "a-3"]);
    expect(members.map(({ gateway }) => gateway.stateDir)).toEqual(
      [1, 2, 3].map((number) => `/home/user/.local/state/callweave/gateway-${number}`),
    );
    expect(members.map(({ gateway }) => gateway.grpc.port)).toEqual([7070, 7080, 7090]);
    expect(members.map(({ ops }) => ops.port)).toEqual([7071, 7081, 7091]);
    expect(members.map(({ desk }) => desk?.port)).toEqual([7072, 7082, 7092]);
    expect(members.map(({ serve }) => serve.gateways)).toEqual([1, 1, 1]);
    expect(members[1]?.pools).toBe(config.pools);
  });

  it("keep any free port, and the desk stays away where there is none", () => {
    const config = load({
      ...NATS,
      CALLWEAVE_GATEWAYS: "2",
      CALLWEAVE_GRPC_PORT: "0",
      CALLWEAVE_OPS_PORT: "0",
    });
    const { gateway, ops, desk } = memberConfig(config, "a", 2);
    expect([gateway.grpc.port, ops.port, desk]).toEqual([0, 0, undefined]);
  });

  it("need NATS: one gateway does not", () => {
    expect(problemsOf({ CALLWEAVE_GATEWAYS: "1" })).toEqual([]);
    expect(problemsOf({ CALLWEAVE_GATEWAYS: "2" })).toEqual([
      "CALLWEAVE_GATEWAYS above 1 needs nats.urls (NATS_URL): without NATS gateways know nothing of each other",
    ]);
  });

  it.each([
    ["0", ["CALLWEAVE_GATEWAYS must be a whole number from 1 to 64"]],
    ["65", ["CALLWEAVE_GATEWAYS must be a whole number from 1 to 64"]],
    ["64", []],
  ])("can be %s", (count, problems) => {
    expect(problemsOf({ ...NATS, CALLWEAVE_GATEWAYS: count })).toEqual(problems);
  });

  it("may not share a port, nor go beyond the last one", () => {
    const env = { ...NATS, CALLWEAVE_GATEWAYS: "2" };
    expect(problemsOf({ ...env, CALLWEAVE_OPS_PORT: "7080" })).toEqual([
      "serve.port_step must keep the ports of all gateways apart: 7070, 7080, 7080, 7090",
    ]);
    expect(problemsOf({ ...env, CALLWEAVE_GRPC_PORT: "65525" })).toEqual([]);
    expect(problemsOf({ ...env, CALLWEAVE_GRPC_PORT: "65526" })).toEqual([
      "serve.port_step must keep ports up to 65535: 65536",
    ]);
  });

  it("need room for a number in the id", () => {
    const env = { ...NATS, CALLWEAVE_GATEWAYS: "2" };
    expect(problemsOf({ ...env, CALLWEAVE_GATEWAY_ID: "g".repeat(61) })).toEqual([]);
    expect(problemsOf({ ...env, CALLWEAVE_GATEWAY_ID: "g".repeat(62) })).toEqual([
      "CALLWEAVE_GATEWAY_ID must have at most 61 characters with several gateways",
    ]);
  });
});
