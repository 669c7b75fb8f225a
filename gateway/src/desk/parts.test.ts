import { describe, expect, it } from "vitest";
import { principalOf } from "../contract/principal.js";
import { EmbedTokens } from "./embed-tokens.js";
import { FrameRate } from "./frame-rate.js";
import { Origins } from "./origins.js";
import { Refusals } from "./refusals.js";
import { Tickets } from "./tickets.js";

const admission = { credential: principalOf("default", "desk-1"), origin: "http://localhost:1" };

describe("Tickets", () => {
  it("may be used once, until their time is over", () => {
    let nowMs = 0;
    const tickets = new Tickets(30_000, 10, () => nowMs);
    const [first, second] = [tickets.issue(admission), tickets.issue(admission)];
    nowMs = 29_999;
    expect(tickets.redeem(first, admission.origin)).toMatchObject(admission);
    expect(tickets.redeem(first, admission.origin)).toBeUndefined();
    nowMs = 30_000;
    expect(tickets.redeem(second, admission.origin)).toBeUndefined();
  });

  it("are used up by another origin", () => {
    const tickets = new Tickets(30_000, 10);
    const ticket = tickets.issue(admission);
    expect(tickets.redeem(ticket, "http://localhost:2")).toBeUndefined();
    expect(tickets.redeem(ticket, admission.origin)).toBeUndefined();
  });

  it("are limited in number, old ones not counted", () => {
    let nowMs = 0;
    const tickets = new Tickets(1_000, 2, () => nowMs);
    tickets.issue(admission);
    tickets.issue(admission);
    expect(() => tickets.issue(admission)).toThrow(/at most 2/);
    nowMs = 1_000;
    expect(tickets.issue(admission)).toMatch(/^[\w-]{32}$/);
  });
});

describe("EmbedTokens", () => {
  const right = (callId: string) => ({ callId, credential: admission.credential });

  it("may be looked at until their time is over, and used once, for their own call", () => {
    let nowMs = 0;
    const tokens = new EmbedTokens(1_000, 10, "a limit", () => nowMs);
    const [a, b, c] = ["a", "b", "c"].map((callId) => tokens.issue(right(callId))) as [
      string,
      string,
      string,
    ];
    nowMs = 999;
    expect(tokens.look(a)).toMatchObject({ callId: "a" });
    expect(tokens.look(a)).toMatchObject({ callId: "a" });
    expect(tokens.use(a, "a")).toMatchObject({ callId: "a" });
    expect(tokens.use(a, "a")).toBeUndefined();
    expect(tokens.use(b, "a")).toBeUndefined();
    expect(tokens.use(b, "b")).toBeUndefined();
    nowMs = 1_000;
    expect(tokens.look(c)).toBeUndefined();
    expect(tokens.use(c, "c")).toBeUndefined();
    expect(tokens.look("")).toBeUndefined();
  });

  it("are limited in number, old ones not counted", () => {
    let nowMs = 0;
    const tokens = new EmbedTokens(1_000, 2, "a limit", () => nowMs);
    for (const callId of ["a", "b"]) tokens.issue(right(callId));
    expect(() => tokens.issue(right("c"))).toThrow(/at most 2/);
    nowMs = 1_000;
    expect(tokens.issue(right("c"))).toMatch(/^[\w-]{32}$/);
  });
});

describe("FrameRate", () => {
  it("lets a second's worth through at once, then one by one", () => {
    let nowMs = 0;
    const rate = new FrameRate(100, () => nowMs);
    for (let i = 0; i < 99; i++) expect(rate.count()).toBe(0);
    expect(rate.count()).toBe(10);
    nowMs += 10;
    expect(rate.count()).toBe(10);
    nowMs += 100_000;
    for (let i = 0; i < 99; i++) expect(rate.count()).toBe(0);
    expect(rate.count()).toBe(10);
  });
});

describe("Refusals", () => {
  it("make an address wait until its minute is over", () => {
    let nowMs = 0;
    const refusals = new Refusals(2, () => nowMs);
    refusals.count("a");
    expect(refusals.waitMs("a")).toBe(0);
    nowMs = 1_000;
    refusals.count("a");
    expect(refusals.waitMs("a")).toBe(59_000);
    expect(refusals.waitMs("b")).toBe(0);
    nowMs = 60_000;
    expect(refusals.waitMs("a")).toBe(0);
    refusals.count("a");
    expect(refusals.waitMs("a")).toBe(0);
  });

  it("remember a bounded number of addresses", () => {
    const refusals = new Refusals(1);
    for (let i = 0; i <= 10_000; i++) refusals.count(`a${i}`);
    expect(refusals.waitMs("a0")).toBe(0);
    expect(refusals.waitMs("a1")).toBeGreaterThan(0);
  });
});

describe("Origins", () => {
  const request = (host?: string, origin?: string) => ({ headers: { host, origin } }) as never;
  const origins = new Origins(["https://desk.example.com"]);

  it("know hosts of their own and of this machine", () => {
    for (const host of ["127.0.0.1:7072", "localhost", "[::1]:7072", "desk.example.com", "DESK.example.com"])
      expect(origins.knowsHost(request(host)), host).toBe(true);
    for (const host of [undefined, "", "evil.example", "127.0.0.1.evil.example", "desk.example.com:81"])
      expect(origins.knowsHost(request(host)), host).toBe(false);
  });

  it("allow configured pages and those of the port itself", () => {
    expect(origins.allowedOrigin(request("desk.example.com", "https://desk.example.com"))).toBeDefined();
    expect(origins.allowedOrigin(request("localhost:7072", "http://localhost:7072"))).toBeDefined();
    for (const origin of [
      undefined,
      "null",
      "http://desk.example.com",
      "https://evil.example",
      "http://localhost:1",
    ])
      expect(origins.allowedOrigin(request("localhost:7072", origin)), origin).toBeUndefined();
    // A name that was made to point here is no origin of ours, though it names itself as host.
    expect(origins.allowedOrigin(request("evil.example", "http://evil.example"))).toBeUndefined();
  });

  it("are refused when they are none", () => {
    for (const wrong of ["desk.example.com", "https://desk.example.com/", "ftp://x", "*"])
      expect(() => new Origins([wrong])).toThrow(/origin must be like/);
  });
});
