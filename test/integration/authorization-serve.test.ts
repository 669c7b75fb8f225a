import * as grpc from "@grpc/grpc-js";
import { headers } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../harness/until.js";
import { frameByNats, type NatsServe, outcomeOfAnswer, serveByNats } from "./authorization-nats.js";
import {
  available,
  byGrpc,
  CALLS,
  ITEMS,
  key,
  nc,
  OTHER,
  ROLES,
  type RoleName,
  rpc,
  SPEAKS,
  startMatrix,
  stopMatrix,
  TENANTS,
  VERB_SCOPE,
  VERBS,
  who,
} from "./authorization-rig.js";
import { closeBrowsers, SERVE_WIRES } from "./authorization-wires.js";

// The items of Serve, as authorization-matrix.test.ts has the RPCs.

beforeAll(async () => {
  if (available) await startMatrix();
}, 60_000);
afterAll(async () => {
  closeBrowsers();
  if (available) await stopMatrix();
});

/** One of each item but verbs, what ends a stream and what is another credential. */
const bodyOf: Readonly<Record<string, object>> = {
  // Not the first of its stream.
  register: { agent_id: "again" },
  join: { session_token: "none" },
  reattach: { session_token: "none" },
  accept: { offer_id: "none" },
  decline: { offer_id: "none" },
  audio: { handle: 999, pcm: Buffer.alloc(320) },
  mark: { handle: 999, name: "m" },
  clear_playback: { handle: 999 },
  heartbeat: { load: 0.5 },
  drain: {},
};
const uuidOf = (n: number) => `2f1e1f7a-6a5c-4d5e-9a51-0c6d1d3c${String(1000 + n)}`;
const commandOf = (verb: string, n: number) => ({
  command: {
    handle: 999,
    request_id: uuidOf(n),
    [verb]:
      verb === "set_agent_mode"
        ? { mode: 1 }
        : verb === "escalate"
          ? { reason: 1 }
          : verb === "transfer"
            ? { pool: "sales" }
            : {},
  },
});

const BODIES = Object.entries(bodyOf).map(([item, body]) => ({ [item]: body }));

it("tries every item of Serve that the contract has", () => {
  expect([...Object.keys(bodyOf), "command", "reauthenticate", "bye"].sort()).toEqual([...ITEMS].sort());
});

describe.skipIf(!available).each(Object.entries(SERVE_WIRES))(
  "authorisation inside of Serve on %s",
  (_wire, serveAs) => {
    it.each([...ROLES, "nothing"])("begins a stream: %s", async (role) => {
      for (const tenant of TENANTS) {
        const may = SPEAKS.includes(role as RoleName);
        const foreign = serveAs("agent", OTHER[tenant]);
        foreign.send({ register: { agent_id: "theirs", pool: "support" } });
        await until(() => foreign.items.length > 0, "what was asked for");
        const token = foreign.items[0].registered.session_token as string;
        // A session of another tenant is like none.
        await Promise.all(
          [{ join: { session_token: token } }, { reattach: { session_token: token } }].map(async (first) => {
            const tried = serveAs(role, tenant);
            tried.send(first);
            expect((await tried.end).reason, `${role} ${JSON.stringify(first)}`).toBe(
              may ? "SESSION_NOT_FOUND" : "PERMISSION_DENIED",
            );
          }),
        );
        // One of its own tenant is for whoever may speak and has the token.
        for (const kind of ["join", "reattach"]) {
          const mine = serveAs("agent", tenant);
          mine.send({ register: { agent_id: "mine", pool: "support" } });
          await until(() => mine.items.length > 0, "what was asked for");
          const tried = serveAs(role, tenant);
          tried.send({ [kind]: { session_token: mine.items[0].registered.session_token } });
          if (may) {
            await until(() => tried.items.length > 0, "what was asked for");
            expect(tried.items[0].registered.session_token, `${role} ${kind}`).not.toBe("");
          } else expect((await tried.end).reason, `${role} ${kind}`).toBe("PERMISSION_DENIED");
          tried.cancel();
          mine.cancel();
        }
        foreign.cancel();
        const stream = serveAs(role, tenant);
        stream.send({ register: { agent_id: role, pool: "support" } });
        if (!may) {
          expect((await stream.end).code).toBe(grpc.status.PERMISSION_DENIED);
          continue;
        }
        await until(() => stream.items.length > 0, "what was asked for");
        expect(stream.items[0].registered.session_token).not.toBe("");
        stream.send(...BODIES, ...VERBS.map(commandOf), { reauthenticate: { token: "none" } });
        await until(
          () => stream.items.some((one) => one.item_refused?.item === "reauthenticate"),
          "what was asked for",
        );
        await until(
          () => stream.items.filter((one) => one.command_result).length === VERBS.length,
          "what was asked for",
        );
        expect(stream.items.filter((one) => reasonOf(one) === "ERROR_REASON_PERMISSION_DENIED")).toEqual([]);
        stream.send({ bye: {} });
        expect((await stream.end).code).toBe(grpc.status.OK);
      }
    });

    it("takes from somebody who may speak, and no more, everything but verbs", async () => {
      const stream = serveAs("speaker", "acme");
      stream.send({ register: { agent_id: "speaker", pool: "support" } });
      stream.send(...BODIES, ...VERBS.map(commandOf));
      await until(
        () => stream.items.filter((one) => one.command_result).length === VERBS.length,
        "what was asked for",
      );
      const refusedItems = stream.items.filter(
        (one) => one.item_refused && reasonOf(one) === "ERROR_REASON_PERMISSION_DENIED",
      );
      expect(refusedItems).toEqual([]);
      const results = stream.items.filter((one) => one.command_result).map((one) => one.command_result);
      for (const [n, verb] of VERBS.entries()) {
        const result = results.find((one) => one.request_id === uuidOf(n));
        expect(result?.error, verb).toMatchObject({
          reason: "ERROR_REASON_PERMISSION_DENIED",
          code: 7,
          metadata: { scope: VERB_SCOPE[verb] },
        });
      }
      stream.cancel();
    });

    it("takes the one verb that somebody may give", async () => {
      for (const [n, verb] of VERBS.entries()) {
        const stream = serveAs(`only-${verb}`, "acme");
        stream.send({ register: { agent_id: verb, pool: "support" } });
        stream.send(...VERBS.map(commandOf));
        await until(
          () => stream.items.filter((one) => one.command_result).length === VERBS.length,
          "what was asked for",
        );
        const allowed = stream.items.filter(
          (one) => one.command_result && reasonOf(one) !== "ERROR_REASON_PERMISSION_DENIED",
        );
        expect(
          allowed.map((one) => one.command_result.request_id),
          verb,
        ).toEqual([uuidOf(n)]);
        stream.cancel();
      }
    });

    it("takes nothing more once a fresh credential may not speak", async () => {
      const stream = serveAs("agent", "acme");
      stream.send({ register: { agent_id: "fading", pool: "support" } });
      stream.send({ reauthenticate: { token: key("agent", "globex") } });
      await until(
        () => stream.items.some((one) => one.item_refused?.item === "reauthenticate"),
        "what was asked for",
      );
      stream.send({ reauthenticate: { token: key("observer", "acme") } });
      await until(() => {
        stream.send({ heartbeat: { load: 0 } });
        return stream.items.some((one) => one.item_refused?.item === "heartbeat");
      }, "what was asked for");
      const before = stream.items.length;
      stream.send(...BODIES, ...VERBS.map(commandOf), { bye: {} });
      await until(() => stream.items.some((one) => one.item_refused?.item === "bye"), "what was asked for");
      const refusedItems = stream.items
        .slice(before)
        .filter((one) => reasonOf(one) === "ERROR_REASON_PERMISSION_DENIED");
      const kinds = refusedItems.map((one) => one.item_refused?.item ?? "command");
      for (const item of [...Object.keys(bodyOf), "bye"]) expect(kinds, item).toContain(item);
      expect(kinds.filter((kind) => kind === "command")).toHaveLength(VERBS.length);
      // It may come back to itself.
      stream.send({ reauthenticate: { token: key("agent", "acme") } });
      const bye = setInterval(() => stream.send({ bye: {} }), 10);
      void stream.end.finally(() => clearInterval(bye));
      expect((await stream.end).code).toBe(grpc.status.OK);
    });

    it("registers an agent for its own pool alone", async () => {
      for (const [name, pool, may] of [
        ["sales", "sales", true],
        ["sales", "support", false],
        ["elsewhere", "sales", false],
      ] as const) {
        const stream = serveAs(name, "acme");
        stream.send({ register: { agent_id: "narrow", pool } });
        if (may) {
          await until(() => stream.items.length > 0, "what was asked for");
          stream.send({ bye: {} });
          expect((await stream.end).code).toBe(grpc.status.OK);
        } else expect((await stream.end).reason, `${name} ${pool}`).toBe("PERMISSION_DENIED");
      }
    });

    it.each(["join", "reattach"])("lets nobody but who may speak in its pool %s a session", async (kind) => {
      const holder = serveAs("agent", "acme");
      holder.send({ register: { agent_id: "wide", pool: "sales" } });
      await until(() => holder.items.some((one) => one.offer), "the call of the pool to be offered");
      holder.send({ accept: {} });
      const { epoch, handle } = (
        await until(() => holder.items.find((one) => one.assigned), "the seat of the call")
      ).assigned;
      const calls = kind === "join" ? {} : { calls: [{ call_id: CALLS.acme, epoch }] };
      const first = { [kind]: { session_token: holder.items[0].registered.session_token, ...calls } };
      const outside = serveAs("support", "acme");
      outside.send(first);
      expect((await outside.end).reason).toBe("PERMISSION_DENIED");
      // It was told nothing, and the seat is where it was.
      expect(outside.items).toEqual([]);
      holder.send({ command: { handle, request_id: uuidOf(900), cancel: { request_id: uuidOf(901) } } });
      const { command_result: result } = await until(
        () => holder.items.find((one) => one.command_result),
        "an answer to the holder",
      );
      expect(result.error?.reason).not.toBe("ERROR_REASON_STALE_HANDLE");
      const inside = serveAs("sales", "acme");
      inside.send(first);
      await until(() => inside.items.length > 0, "the session to be let in");
      expect(inside.items[0].registered.session_token).toBe(first[kind]?.session_token);
      inside.send({ bye: {} });
      expect((await inside.end).code).toBe(grpc.status.OK);
    });
  },
);

describe.skipIf(!available)("authorisation on the subjects of agents on NATS", () => {
  it.each([...ROLES, "nothing"])(
    "begins nothing on another tenant's subject: %s (fault 40)",
    async (role) => {
      const firsts = ["register", "join", "reattach"].map((item) => ({ [item]: bodyOf[item] }));
      for (const tenant of TENANTS) {
        for (const [subject, first] of [OTHER[tenant], "nobody"].flatMap((to) =>
          firsts.map((one) => [to, one] as const),
        )) {
          const answer = await frameByNats(`callweave.${subject}.agents.register`, key(role, tenant), [
            first,
          ]);
          expect(outcomeOfAnswer(answer), `${role} ${tenant} on ${subject}`).toEqual(FOREIGN);
        }
      }
    },
  );

  it.each([...ROLES, "nothing"])(
    "is no way into the session of somebody else: %s (fault 40)",
    async (role) => {
      for (const tenant of TENANTS) {
        const theirs = await session("speaker", OTHER[tenant]);
        const mine = await session("speaker", tenant);
        for (const item of [
          ...BODIES,
          ...VERBS.map(commandOf),
          { reauthenticate: { token: "x" } },
          { bye: {} },
        ]) {
          const shown = `${role} ${tenant} ${JSON.stringify(item)}`;
          const say = async (stream: NatsServe) =>
            outcomeOfAnswer(await frameByNats(stream.up, key(role, tenant), [item], stream.sequence + 1));
          expect(await say(theirs), shown).toEqual(FOREIGN);
          // Another key of the own tenant is told that it is not the one.
          expect((await say(mine)).reason, shown).toBe("UNAUTHENTICATED");
        }
        // Under the name of the own tenant there is no such session.
        const elsewhere = `callweave.${tenant}.agents.${theirs.session}.up`;
        await expect(
          frameByNats(elsewhere, key(role, tenant), [{ bye: {} }], theirs.sequence + 1),
        ).rejects.toMatchObject({ code: "503" });
        await untouched(theirs, mine);
      }
    },
  );

  it("is no way in without a good credential", async () => {
    const theirs = await session("agent", "acme");
    for (const token of [undefined, "", "wrong-key-0123456789", `${key("agent", "acme")}x`]) {
      const answer = await frameByNats(theirs.up, token, [{ bye: {} }], theirs.sequence + 1);
      expect(outcomeOfAnswer(answer).reason, String(token)).toBe("UNAUTHENTICATED");
    }
    await untouched(theirs);
  });

  it("answers nowhere but to inboxes, whoever asks", async () => {
    const theirs = await session("agent", "acme");
    const reply = `callweave.acme.calls.${CALLS.acme}.events`;
    let answers = 0;
    const subscription = nc.subscribe(reply, {
      callback: (_error, message) => {
        if (message.headers?.get("Nats-Service-Error-Code")) answers++;
      },
    });
    for (const token of ["wrong-key-0123456789", key("agent", "globex")]) {
      const made = headers();
      made.set("Callweave-Authorization", `Bearer ${token}`);
      nc.publish(theirs.up, new Uint8Array(), { reply, headers: made });
      // What was sent before was answered before.
      const answer = await frameByNats(theirs.up, token, [{ bye: {} }]);
      expect(outcomeOfAnswer(answer).code, token).not.toBe(0);
    }
    await untouched(theirs);
    await nc.flush();
    expect(answers).toBe(0);
    subscription.unsubscribe();
  });

  it("hears the fresh credential alone", async () => {
    const stream = await session("agent", "acme");
    const before = stream.sequence;
    stream.send({ reauthenticate: { token: key("speaker", "acme") } });
    await until(() => stream.sequence > before, "the frame to be taken");
    const old = await frameByNats(stream.up, key("agent", "acme"), [{ bye: {} }], stream.sequence + 1);
    expect(outcomeOfAnswer(old).reason).toBe("UNAUTHENTICATED");
    await untouched(stream);
  });

  it("is written down (fault 40)", async () => {
    const page = await byGrpc(rpc("AuditService/ListAudit"), who("admin", "acme"), { page_size: 1000 });
    const mine = page.body.entries.filter(
      (one: { operation: string; details: Record<string, string> }) =>
        one.operation === "AgentService/Serve" && one.details?.reason === "CALL_NOT_FOUND",
    );
    expect(mine.length).toBeGreaterThan(100);
  });
});

/** What is told on every subject of another tenant. */
const FOREIGN = { code: grpc.status.NOT_FOUND, reason: "CALL_NOT_FOUND", scope: "" };

/** A session on NATS that sends nothing by itself, so that its next number is known. */
async function session(name: string, tenant: string): Promise<NatsServe> {
  const stream = serveByNats(name, tenant);
  stream.send({ register: { agent_id: name, pool: "support" } });
  await until(() => stream.items.length > 0, "what was asked for");
  stream.hush();
  return stream;
}

/** Nothing was said to them, no number was taken, and they go on. */
async function untouched(...streams: readonly NatsServe[]): Promise<void> {
  for (const stream of streams) {
    expect(stream.items.map((one) => one.item)).toEqual(["registered"]);
    stream.send({ bye: {} });
    expect((await stream.end).code).toBe(grpc.status.OK);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: an outsider without generated types
function reasonOf(item: any): string {
  return (item.item_refused ?? item.command_result)?.error?.reason ?? "";
}
