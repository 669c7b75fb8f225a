import * as grpc from "@grpc/grpc-js";
import { headers } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../harness/until.js";
import {
  available,
  key,
  nc,
  OTHER,
  ROLES,
  type RoleName,
  SPEAKS,
  startMatrix,
  stopMatrix,
  TENANTS,
  VERB_SCOPE,
  VERBS,
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

/** One of each item but those that begin or end a stream. */
const bodyOf: Readonly<Record<string, object>> = {
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
        for (const first of [{ join: { session_token: token } }, { reattach: { session_token: token } }]) {
          const tried = serveAs(role, tenant);
          tried.send(first);
          expect((await tried.end).reason, `${role} ${JSON.stringify(first)}`).toBe(
            may ? "SESSION_NOT_FOUND" : "PERMISSION_DENIED",
          );
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
        stream.send(
          ...Object.entries(bodyOf).map(([item, body]) => ({ [item]: body })),
          ...VERBS.map(commandOf),
          { reauthenticate: { token: "none" } },
        );
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
      stream.send(...VERBS.map(commandOf));
      await until(
        () => stream.items.filter((one) => one.command_result).length === VERBS.length,
        "what was asked for",
      );
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
      stream.send(
        ...Object.entries(bodyOf).map(([item, body]) => ({ [item]: body })),
        ...VERBS.map(commandOf),
        { bye: {} },
      );
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
        if (may) await until(() => stream.items.length > 0, "what was asked for");
        else expect((await stream.end).reason, `${name} ${pool}`).toBe("PERMISSION_DENIED");
        stream.cancel();
      }
    });
  },
);

describe.skipIf(!available)("authorisation of agents", () => {
  it.each([...ROLES, "nothing"])("registers on NATS: %s", async (role) => {
    for (const tenant of TENANTS) {
      for (const subject of [tenant, OTHER[tenant], "nobody"]) {
        const made = headers();
        made.set("Callweave-Authorization", `Bearer ${key(role, tenant)}`);
        const body = JSON.stringify({ items: [{ register: { agentId: role, pool: "support" } }] });
        const answer = await nc.request(`callweave.${subject}.agents.register`, body, {
          timeout: 10_000,
          headers: made,
        });
        const code = Number(answer.headers?.get("Nats-Service-Error-Code") || 0);
        const may = SPEAKS.includes(role as RoleName);
        const wanted = subject !== tenant ? grpc.status.NOT_FOUND : may ? 0 : grpc.status.PERMISSION_DENIED;
        expect(code, `${role} ${tenant} on ${subject}`).toBe(wanted);
      }
    }
  });
});

// biome-ignore lint/suspicious/noExplicitAny: an outsider without generated types
function reasonOf(item: any): string {
  return (item.item_refused ?? item.command_result)?.error?.reason ?? "";
}
