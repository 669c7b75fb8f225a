import { createHash } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import { describe, expect, it } from "vitest";
import { CallError } from "../call/call-error.js";
import { Authenticator, isLoopback } from "./authenticator.js";
import type { Principal } from "./principal.js";

const KEY = "test-key-0123456789";
const bearer = (value: string) => [value];

describe("Authenticator", () => {
  const keySha256 = createHash("sha256").update("another-key-012345").digest("hex");
  const keys = new Authenticator({
    keys: [
      { name: "desk", tenant: "acme", key: KEY },
      { name: "agents", tenant: "other", keySha256, role: "agent", pools: ["sales"] },
    ],
  });

  it("gives tenant, name and rights of the key, plain or hashed", async () => {
    const desk = await keys.authenticate(bearer(`Bearer ${KEY}`), "192.0.2.1:5");
    expect(desk).toMatchObject({ tenant: "acme", name: "desk", role: "admin", proof: "key" });
    expect(desk.grants.get("context:erase")).toEqual([{ pools: [], connectors: [] }]);
    const agents = await keys.authenticate(bearer("bearer another-key-012345"), "[::1]:5");
    expect(agents).toMatchObject({ tenant: "other", name: "agents", role: "agent" });
    expect(agents.grants.get("speak")).toEqual([{ pools: ["sales"], connectors: [] }]);
    expect(agents.grants.has("context:erase")).toBe(false);
    expect((await keys.authenticateToken(KEY, "127.0.0.1:1")).name).toBe("desk");
  });

  it("takes two keys of one name, and no third, so that one can leave while another comes", async () => {
    const two = ["first-key-01234567", "second-key-0123456"].map((key) => ({ name: "a", tenant: "t", key }));
    const rotating = new Authenticator({ keys: two });
    for (const { key } of two) expect((await rotating.authenticateToken(key, "127.0.0.1:1")).name).toBe("a");
    const third = { name: "a", tenant: "t", key: "third-key-01234567" };
    expect(() => new Authenticator({ keys: [...two, third] })).toThrow("more than twice");
    await rotating.reload({ keys: [two[1], third] as typeof two });
    await expect(rotating.authenticateToken("first-key-01234567", "127.0.0.1:1")).rejects.toThrow(CallError);
    await expect(rotating.reload({ keys: [] })).rejects.toThrow("cannot be taken away");
    expect((await rotating.authenticateToken("third-key-01234567", "127.0.0.1:1")).name).toBe("a");
  });

  it("tells whoever lasts when a reload takes a credential or some of its rights away", async () => {
    const key = (name: string, changes: object = {}) => ({
      name,
      tenant: "t",
      key: `${name}-0123456789abcdef`,
      ...changes,
    });
    const certificates = [
      { san: "DNS:*.example.org", tenant: "t", role: "agent" },
      { san: "URI:spiffe://a/*", tenant: "t", role: "desk" },
    ];
    const gateway = new Authenticator({
      keys: [key("stays"), key("leaves"), key("fades", { role: "desk" })],
      certificates,
    });
    const ended: string[] = [];
    const stops = new Map<string, () => void>();
    const follow = async (name: string, principal: Promise<Principal>) => {
      stops.set(
        name,
        gateway.onTakenAway(await principal, () => ended.push(name)),
      );
    };
    const token = (name: string) => gateway.authenticateToken(`${name}-0123456789abcdef`, "192.0.2.1:1");
    const shown = (subjectaltname: string) =>
      gateway.authenticate([], "192.0.2.1:1", { subjectaltname } as PeerCertificate);
    for (const name of ["stays", "leaves", "fades"]) await follow(name, token(name));
    await follow("dns", shown("DNS:one.example.org"));
    await follow("uri", shown("URI:spiffe://a/b"));
    await follow("stopped", token("leaves"));
    stops.get("stopped")?.();
    const leaves = token("leaves");

    await gateway.reload({
      keys: [key("fades", { role: "desk" }), key("leaves"), key("stays", { role: "admin" })],
      certificates,
    });
    expect(ended).toEqual([]);
    await expect(gateway.reload({ keys: [key("short", { key: "x" })] })).rejects.toThrow("16");
    expect(ended).toEqual([]);
    await gateway.reload({
      keys: [key("stays"), key("fades", { role: "observer" })],
      certificates: [{ san: "DNS:two.example.org", tenant: "t", role: "agent" }, certificates[1] as never],
    });
    expect(ended.sort()).toEqual(["dns", "fades", "leaves"]);
    // Once; and whoever shows later what was taken away before, as by a ticket, is told too.
    await gateway.reload({ keys: [key("stays")], certificates: [certificates[1] as never] });
    expect(ended).toHaveLength(3);
    await follow("late", leaves);
    await expect.poll(() => ended).toContain("late");
    expect(ended).not.toContain("stopped");
  });

  it("takes from this machine what it had without keys, once there are any", async () => {
    const open = new Authenticator({});
    let ended = 0;
    open.onTakenAway(await open.authenticate([], "127.0.0.1:5"), () => ended++);
    await open.reload({});
    expect(ended).toBe(0);
    await open.reload({ keys: [{ name: "a", tenant: "t", key: KEY }] });
    expect(ended).toBe(1);
  });

  it("refuses everything else, on loopback too, without repeating it", async () => {
    const double = [...bearer(`Bearer ${KEY}`), ...bearer(`Bearer ${KEY}`)];
    for (const metadata of [
      [],
      bearer(KEY),
      bearer("Bearer "),
      bearer("Bearer wrong"),
      bearer(`Basic ${KEY}`),
      bearer(`Bearer ${KEY} ${KEY}`),
      double,
    ]) {
      const error = await keys.authenticate(metadata, "127.0.0.1:5").catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ reason: "UNAUTHENTICATED", metadata: {} });
      expect(String(error)).not.toContain("wrong");
      expect(String(error)).not.toContain(KEY);
    }
  });

  it("serves this machine alone when there are no keys", async () => {
    const open = new Authenticator({});
    for (const peer of ["127.0.0.1:5", "127.9.9.9:5", "::1:5", "::ffff:127.0.0.1:5"]) {
      expect(await open.authenticate([], peer)).toMatchObject({
        tenant: "default",
        name: "local",
        role: "admin",
      });
    }
    for (const peer of ["192.0.2.1:5", "unknown", "", "[2001:db8::1]:5", "127.0.0.1.example:5"]) {
      await expect(open.authenticate([], peer)).rejects.toThrow("only this machine");
    }
    const all = new Authenticator({ openToAll: true });
    expect((await all.authenticate([], "192.0.2.1:5")).name).toBe("local");
    expect(
      new Authenticator({ openToAll: true, keys: [{ name: "a", tenant: "t", key: KEY }] }),
    ).toMatchObject({ hasKeys: true, isOpenToAll: false });
  });

  it("refuses keys that protect nothing", () => {
    const make = (key: object) => () => new Authenticator({ keys: [{ name: "a", tenant: "t", ...key }] });
    expect(make({})).toThrow("16 characters");
    expect(make({ key: "short" })).toThrow("16 characters");
    expect(make({ key: "" })).toThrow("16 characters");
    expect(make({ keySha256: "abc" })).toThrow("64 hexadecimal");
    expect(make({ key: KEY, keySha256: "0".repeat(64) })).toThrow("both");
    expect(make({ key: KEY, tenant: "" })).toThrow("tenant");
    const same = [0, 1].map((i) => ({ name: `k${i}`, tenant: "t", key: KEY }));
    expect(() => new Authenticator({ keys: same })).toThrow("same");
    expect(make({ key: KEY, role: "boss" })).toThrow("role must be one of");
    expect(make({ key: KEY, scopes: ["fly"] })).toThrow("scope must be one of");
    expect(make({ key: KEY, scopes: ["listen@pool="] })).toThrow("narrowed as");
    expect(make({ key: "short" })).not.toThrow("short-");
  });

  it("knows loopback addresses", () => {
    expect(["localhost", "127.0.0.1", "::1", "::ffff:127.0.0.1"].every(isLoopback)).toBe(true);
    expect(["0.0.0.0", "::", "10.0.0.1", "", "127.0.0.1.example", "::ffff:10.0.0.1"].some(isLoopback)).toBe(
      false,
    );
  });
});
