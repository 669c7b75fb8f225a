import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { verifyAudit } from "../../gateway/src/audit/audit-verify.js";
import { ROLE_NAMES, SCOPES } from "../../gateway/src/contract/principal.js";
import { RULES } from "../../gateway/src/contract/rules.js";
import {
  available,
  BROWSER_FRAMES,
  byGrpc,
  byNats,
  CALLS,
  camel,
  EXPECTED,
  folder,
  HARMLESS,
  ITEMS,
  namesCall,
  OTHER,
  ROLES,
  type RoleName,
  RPCS,
  requestOf,
  rpc,
  SERVED,
  startMatrix,
  stopMatrix,
  TENANTS,
  VERB_SCOPE,
  VERBS,
  who,
} from "./authorization-rig.js";
import { closeBrowsers, frameOutcome, WIRES } from "./authorization-wires.js";

// Every RPC of the .proto text on gRPC, in the browser and on NATS, for each role, on calls of its own
// tenant and of another. What is expected stands here, apart from the rules of the gateway.

beforeAll(async () => {
  if (available) await startMatrix();
}, 60_000);
afterAll(async () => {
  closeBrowsers();
  if (available) await stopMatrix();
});

describe("the table of rules", () => {
  it("has a rule for every RPC and every item of the contract, and for nothing else", () => {
    const wanted = [
      ...RPCS.map(({ name }) => name),
      ...ITEMS.filter((name) => name !== "command").map((name) => `Serve/${camel(name)}`),
      ...VERBS.map((name) => `Serve/command/${camel(name)}`),
    ];
    expect(Object.keys(RULES).sort()).toEqual(wanted.sort());
    expect(Object.keys(EXPECTED).sort()).toEqual(RPCS.map(({ name }) => name).sort());
    expect(Object.keys(VERB_SCOPE).sort()).toEqual([...VERBS].sort());
    expect([...ROLE_NAMES].sort()).toEqual([...ROLES].sort());
    expect([...BROWSER_FRAMES].sort()).toEqual(["cancel", "half_close", "message", "open"]);
    for (const { scopes } of Object.values(RULES))
      for (const scope of scopes.flat()) expect(SCOPES).toContain(scope);
  });
});

describe.skipIf(!available)("authorisation", () => {
  describe.each(Object.entries(WIRES))("on %s", (_wire, ask) => {
    it.each([...ROLES, "nothing"])("in its own tenant: %s", async (role) => {
      for (const tenant of TENANTS) {
        for (const method of SERVED) {
          const request = requestOf(method, CALLS[tenant], false);
          // Deleting is tried on what there is not, so that the others find something.
          if (method.name.endsWith("DeleteContexts")) request.call_id = "call-none";
          const outcome = await ask(method, role, tenant, request);
          const may = EXPECTED[method.name]?.includes(role as RoleName) ?? false;
          const shown = `${role} ${tenant} ${method.name}: ${JSON.stringify(outcome)}`;
          if (may) expect([grpc.status.OK, grpc.status.INVALID_ARGUMENT], shown).toContain(outcome.code);
          else {
            expect(outcome.reason, shown).toBe("PERMISSION_DENIED");
            expect(outcome.code, shown).toBe(grpc.status.PERMISSION_DENIED);
            expect(outcome.scope, shown).not.toBe("");
          }
        }
      }
    });

    it.each([...ROLES, "nothing"])("about another tenant's call: %s (fault 40)", async (role) => {
      for (const tenant of TENANTS) {
        const theirs = OTHER[tenant];
        for (const method of SERVED) {
          if (method.name.endsWith("WatchContexts")) continue;
          const request = requestOf(method, CALLS[theirs], true);
          const outcome = await ask(method, role, tenant, request);
          const may = EXPECTED[method.name]?.includes(role as RoleName) ?? false;
          const shown = `${role} ${tenant} ${method.name}: ${JSON.stringify(outcome)}`;
          const names = namesCall(method, request);
          if (!may) expect(outcome.code, shown).toBe(grpc.status.PERMISSION_DENIED);
          else if (names && !HARMLESS.includes(method.name))
            expect(outcome.code, shown).toBe(grpc.status.NOT_FOUND);
          else expect(outcome.code, shown).toBe(grpc.status.OK);
          const text = JSON.stringify(outcome.body ?? {});
          expect(text, shown).not.toContain(`secret of ${theirs}`);
          if (namesCall(method, request) && !HARMLESS.includes(method.name))
            expect(text, shown).not.toContain(CALLS[theirs]);
        }
        // What was saved under the same id is another one.
        const found = await byGrpc(rpc("ContextService/GetContext"), who("admin", theirs), {
          call_id: CALLS[theirs],
        });
        expect(found.code).toBe(0);
        await byGrpc(rpc("ContextService/DeleteContexts"), who("admin", tenant), { call_id: CALLS[theirs] });
      }
    });
  });

  it("on gRPC without a good credential: nothing but health (fault 42)", async () => {
    for (const method of SERVED) {
      for (const shown of [undefined, "Bearer wrong-key-0123456789", "Basic xxxx", "Bearer"]) {
        const metadata = new grpc.Metadata();
        if (shown) metadata.set("authorization", shown);
        const { code } = await byGrpc(method, metadata, requestOf(method, CALLS.acme, true));
        expect(code, `${method.name} ${shown}`).toBe(grpc.status.UNAUTHENTICATED);
      }
    }
  });

  it("on NATS: what is watched has no endpoint but is subscribed to", async () => {
    const watches = SERVED.filter(({ name }) => /\/Watch/.test(name));
    expect(watches.map(({ name }) => name).sort()).toEqual([
      "CallService/WatchCalls",
      "ContextService/WatchContexts",
    ]);
    for (const method of watches)
      for (const subject of [...TENANTS, "nobody"])
        await expect(byNats(method, "admin", "acme", subject, {}), method.name).rejects.toMatchObject({
          code: "503",
        });
  });

  it.each([...ROLES, "nothing"])("on NATS, own and other tenant: %s (fault 40)", async (role) => {
    const methods = SERVED.filter(({ name }) => !/\/Watch/.test(name));
    for (const tenant of TENANTS) {
      const theirs = OTHER[tenant];
      for (const method of methods) {
        const may = EXPECTED[method.name]?.includes(role as RoleName) ?? false;
        const own = requestOf(method, CALLS[tenant], false);
        if (method.name.endsWith("DeleteContexts")) own.call_id = "call-none";
        const mine = await byNats(method, role, tenant, tenant, own);
        const shown = `${role} ${tenant} ${method.name}`;
        if (may) expect([0, grpc.status.INVALID_ARGUMENT], shown).toContain(mine.code);
        else expect(mine.denied, shown).toBe(true);

        const whole = requestOf(method, CALLS[theirs], true);
        const other = await byNats(method, role, tenant, tenant, whole);
        if (!may) expect(other.denied, shown).toBe(true);
        else if (namesCall(method, whole) && !HARMLESS.includes(method.name))
          expect(other.code, shown).toBe(grpc.status.NOT_FOUND);
        expect(other.text, shown).not.toContain(`secret of ${theirs}`);

        // The other tenant's subject is closed, whatever is asked for there and whether or not there is such a tenant.
        const [there, nowhere] = [
          await byNats(method, role, tenant, theirs, whole),
          await byNats(method, role, tenant, "nobody", whole),
        ];
        expect(there.code, shown).toBe(grpc.status.NOT_FOUND);
        expect(nowhere, shown).toEqual(there);
      }
      await byGrpc(rpc("ContextService/DeleteContexts"), who("admin", tenant), { call_id: CALLS[theirs] });
    }
  });

  it.each([...ROLES, "nothing"])("of frames for streams that are somebody else's: %s", async (role) => {
    for (const tenant of TENANTS) {
      // The other tenant's connection has a stream of that number.
      for (const kind of BROWSER_FRAMES.filter((name) => name !== "open")) {
        const { answers, theirs } = await frameOutcome(role, tenant, kind);
        expect({ answers, theirs }, `${role} ${tenant} ${kind}`).toEqual({ answers: 0, theirs: "goes on" });
      }
    }
  });

  it("of the calls of one pool or connector", async () => {
    const about = SERVED.filter(
      (method) => namesCall(method, requestOf(method, "x", true)) && !/Context/.test(method.name),
    );
    expect(about.length).toBeGreaterThan(12);
    for (const method of about) {
      const request = requestOf(method, CALLS.acme, false);
      const inside = await byGrpc(method, who("sales", "acme"), request);
      expect([grpc.status.OK, grpc.status.INVALID_ARGUMENT], method.name).toContain(inside.code);
      for (const outside of ["support", "elsewhere"])
        expect(
          (await byGrpc(method, who(outside, "acme"), request)).reason,
          `${outside} ${method.name}`,
        ).toBe("PERMISSION_DENIED");
    }
    const calls = async (name: string) =>
      (await byGrpc(rpc("CallService/ListCalls"), who(name, "acme"), {})).body.calls?.length ?? 0;
    expect([await calls("sales"), await calls("support"), await calls("elsewhere")]).toEqual([1, 0, 0]);
    const contexts = async (name: string, method: string) =>
      (await byGrpc(rpc(`ContextService/${method}`), who(name, "acme"), { caller: "+15550100" })).body
        .contexts.length;
    for (const method of ["FindContexts", "ListContexts"])
      expect([await contexts("sales", method), await contexts("support", method)], method).toEqual([1, 0]);
    const pools = await byGrpc(rpc("FleetService/ListPools"), who("support", "acme"), {});
    expect(pools.body.pools.map((pool: { name: string }) => pool.name)).toEqual(["support"]);
    const byCaller = { caller: "+15550100" };
    const erased = await byGrpc(rpc("ContextService/DeleteContexts"), who("sales", "acme"), byCaller);
    expect(erased.reason).toBe("PERMISSION_DENIED");
  });

  it("is written down: who was refused, listened and read, in a chain that holds (fault 40)", async () => {
    const page = await byGrpc(rpc("AuditService/ListAudit"), who("admin", "acme"), { page_size: 1000 });
    const kinds = new Set(page.body.entries.map((entry: { kind: string }) => entry.kind));
    for (const kind of ["LISTEN", "CONTEXT_READ", "CONTEXT_ERASED", "PERMISSION_DENIED", "AUDIT_READ"])
      expect(kinds, kind).toContain(`AUDIT_KIND_${kind}`);
    const foreign = page.body.entries.filter(
      (entry: { call_id: string; details: Record<string, string> }) =>
        entry.call_id === CALLS.globex && entry.details?.reason === "CALL_NOT_FOUND",
    );
    expect(foreign.length).toBeGreaterThan(10);
    expect(JSON.stringify(page.body)).not.toMatch(/secret of|5550100/);
    expect((await verifyAudit(join(folder, "state", "audit"))).problems).toEqual([]);
  });

  it("forgets an erased caller in a chain that still holds", async () => {
    const audit = async (request: object) =>
      (await byGrpc(rpc("AuditService/ListAudit"), who("admin", "acme"), { page_size: 1000, ...request }))
        .body.entries as {
        kind: string;
        number_hash: string;
        actor: string;
        details: Record<string, string>;
      }[];
    const caller = { caller: "+15550100" };
    expect((await byGrpc(rpc("ContextService/FindContexts"), who("admin", "acme"), caller)).code).toBe(0);
    const before = await audit({ number: caller.caller });
    expect(before.map(({ kind }) => kind)).toContain("AUDIT_KIND_CONTEXT_READ");
    const [hash] = new Set(before.map((entry) => entry.number_hash));
    expect((await byGrpc(rpc("ContextService/DeleteContexts"), who("admin", "acme"), caller)).code).toBe(0);
    const all = await audit({});
    // Who did it stands there, and whose it was as nobody can make it any more.
    const erased = all.filter(({ kind }) => kind === "AUDIT_KIND_CONTEXT_ERASED").slice(0, 2);
    expect(erased.map(({ actor }) => actor)).toEqual(["client:admin", "gateway"]);
    expect(erased.map((entry) => entry.number_hash ?? "")).toEqual(["", hash]);
    expect(erased[1]?.details).toEqual({ key: "destroyed" });
    // The search for the number that this is itself is about a caller of whom nothing is known.
    const after = await audit({ number: caller.caller });
    expect(after.filter((entry) => entry.number_hash === hash)).toEqual([]);
    expect(all.filter((entry) => entry.number_hash === hash).length).toBeGreaterThan(1);
    expect((await verifyAudit(join(folder, "state", "audit"))).problems).toEqual([]);
  });
});
