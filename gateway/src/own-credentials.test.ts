import { describe, expect, it } from "vitest";
import { loadConfig } from "./config/index.js";
import { OwnCredentials } from "./own-credentials.js";
import { MemoryTelephony } from "./telephony/memory/memory-telephony.js";

const config = (env: Record<string, string> = {}) => loadConfig({ env: { HOME: "/home/user", ...env } });
const byUser = (password: string) =>
  config({ NATS_URL: "nats://127.0.0.1:4222", NATS_USER: "gateway", NATS_PASSWORD: password });

describe("OwnCredentials", () => {
  it("shows NATS a new password once it is taken up, not before", async () => {
    const own = new OwnCredentials(byUser("old"));
    const takeUp = own.prepare(byUser("new"), []);
    expect(await own.natsCredentials()).toEqual({ kind: "password", user: "gateway", password: "old" });
    takeUp();
    expect(await own.natsCredentials()).toEqual({ kind: "password", user: "gateway", password: "new" });
  });

  it("leaves NATS and connectors that a configuration no longer names what they have", async () => {
    const own = new OwnCredentials(byUser("old"));
    own.prepare(config(), [new MemoryTelephony()])();
    expect(await own.natsCredentials()).toEqual({ kind: "password", user: "gateway", password: "old" });
    expect(own.natsTls).toBeUndefined();
    expect(own.views()).toEqual([]);
  });
});
