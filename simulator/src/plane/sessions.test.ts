import { describe, expect, it } from "vitest";
import { SessionTable } from "./sessions.js";

function setup() {
  const table = new SessionTable();
  const session = table.create(
    {
      connectorUuid: "c1",
      channel: "TELCO",
      initiator: "CONNECTOR",
      remoteAddress: "+15550101",
      localAddress: "+15550100",
    },
    1000,
  );
  return { table, session };
}

describe("SessionTable / claims", () => {
  it("gives a session to the first connection and tells the second who has it", () => {
    const { table, session } = setup();
    expect(table.claim(session.id, "c1", "sm-1", 0).ok).toBe(true);
    expect(table.claim(session.id, "c1", "sm-2", 0)).toEqual({
      ok: false,
      errorCode: "SESSION_BUSY",
      errorContent: { boundSmWsId: "sm-1" },
    });
    expect(table.claim(session.id, "c1", "sm-1", 0).ok).toBe(true);
  });

  it("has exactly one winner among a hundred", () => {
    const { table, session } = setup();
    const results = Array.from({ length: 100 }, (_, i) => table.claim(session.id, "c1", `sm-${i}`, 0));
    expect(results.filter(({ ok }) => ok).length).toBe(1);
  });

  it("does not know another connector's session", () => {
    const { table, session } = setup();
    expect(table.claim(session.id, "c2", "sm-1", 0)).toMatchObject({ errorCode: "SESSION_NOT_FOUND" });
    expect(table.list("c2")).toEqual([]);
  });

  it("loses claims with their connection, and readiness with them", () => {
    const { table, session } = setup();
    table.claim(session.id, "c1", "sm-1", 0);
    expect(table.markReady(session, "sm-2")).toBe(false);
    expect(table.markReady(session, "sm-1")).toBe(true);
    expect(table.markReady(session, "sm-1")).toBe(false);
    expect(table.release("sm-1")).toEqual([session]);
    expect(session).toMatchObject({ boundTo: undefined, ready: false, claimLost: true });
    expect(table.claim(session.id, "c1", "sm-2", 0).ok).toBe(true);
    expect(table.markReady(session, "sm-2")).toBe(true);
  });

  it("stays busy for a time when told to, then is free", () => {
    const { table, session } = setup();
    session.busyUntilMs = 5000;
    session.busyBoundTo = "gone";
    expect(table.claim(session.id, "c1", "sm-2", 4999)).toMatchObject({
      errorCode: "SESSION_BUSY",
      errorContent: { boundSmWsId: "gone" },
    });
    expect(table.claim(session.id, "c1", "sm-2", 5000).ok).toBe(true);
  });

  it("refuses what is closed, closes once, and lists by state", () => {
    const { table, session } = setup();
    expect(table.list("c1", { state: "OPEN", channel: "TELCO", remoteAddress: "+15550101" })).toEqual([
      session,
    ]);
    expect(table.close(session, "CALL_TERMINATED", 2000)).toBe(true);
    expect(table.close(session, "SDK_REQUEST", 3000)).toBe(false);
    expect(session).toMatchObject({ closedAt: 2000, closeReason: "CALL_TERMINATED" });
    expect(table.claim(session.id, "c1", "sm-1", 0)).toMatchObject({ errorCode: "SESSION_CLOSED" });
    expect(table.list("c1", { state: "OPEN" })).toEqual([]);
    expect(table.list("c1", { state: "CLOSED" })).toEqual([session]);
  });
});
