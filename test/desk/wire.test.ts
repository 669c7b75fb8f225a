import {
  ErrorReason,
  GetCallRequest,
  GetCallResponse,
  ListCallsRequest,
  ListCallsResponse,
  ListenCallRequest,
  ListenCallResponse,
  ServeRequest,
  ServeResponse,
  TransferCallRequest,
  TransferCallResponse,
  WatchCallsRequest,
  WatchCallsResponse,
} from "@callweave/proto";
import { tone } from "@callweave/simulator";
import { describe, expect, it } from "vitest";
import { type Stack, until } from "../harness/gateway.js";
import { useRig } from "../harness/rig.js";
import { openSocket, post, ticketOf, visit, type WireClient } from "./wire-client.js";

const rig = useRig();
const KEY = "0123456789abcdef-desk-1";
const FOREIGN = "http://evil.example";

async function desk(options: { desk?: Partial<Record<string, unknown>>; keys?: object[] } = {}) {
  const stack = await rig.stack({
    config: {
      desk: { ...options.desk },
      pools: [{ name: "default", heartbeat_misses: 20 }],
      ...(options.keys ? { gateway: { grpc: { keys: options.keys } } } : {}),
    },
  });
  const port = stack.gateway.deskPort as number;
  const client = async (page: Parameters<typeof visit>[1] = {}) => {
    const one = await visit(port, page);
    rig.defer(() => one.close());
    return one;
  };
  return { stack, port, client };
}

function place(stack: Stack) {
  return stack.simulator.placeCall({ from: "+15550123", caller: [tone(440)] });
}

const list = (client: WireClient) =>
  client.call("CallService/ListCalls", ListCallsRequest, ListCallsResponse, ListCallsRequest.fromPartial({}));

describe("the browser wire", () => {
  it("lists, watches, listens and takes a seat with the messages of gRPC", async () => {
    const { stack, client } = await desk();
    await rig.agent(stack, { agentId: "machine" }, () => {});
    const browser = await client();
    const { cursor } = await list(browser);
    const watch = browser.open(
      "CallService/WatchCalls",
      WatchCallsRequest.encode(WatchCallsRequest.fromPartial({ cursor })).finish(),
    );
    const sim = place(stack);
    await until(() => sim.state === "ANSWERED", "the call to be answered");
    const [call] = (await list(browser)).calls;
    expect(call).toMatchObject({ callId: sim.id, caller: "+15550123" });
    const kinds = () =>
      watch.messages.map((bytes) => {
        const { item } = WatchCallsResponse.decode(bytes);
        return item?.$case === "event" ? item.value.event?.$case : item?.$case;
      });
    await until(() => kinds().includes("answered"), "the event of the answer");
    expect(kinds().filter((kind) => kind === "answered")).toHaveLength(1);

    const listen = browser.open(
      "CallService/ListenCall",
      ListenCallRequest.encode(ListenCallRequest.fromPartial({ callId: sim.id })).finish(),
    );
    await until(() => listen.messages.length > 5, "audio of the call");
    const first = ListenCallResponse.decode(listen.messages[0] as Uint8Array);
    expect(first.item?.$case).toBe("started");
    listen.send({ $case: "cancel", value: {} });

    const instanceId = "3f0e8a52-7f44-4b51-9f0a-6a3d0c7f9a10";
    const seat = browser.open("AgentService/Serve");
    const items = () => seat.messages.flatMap((bytes) => ServeResponse.decode(bytes).items);
    const say = (item: object) =>
      seat.send({
        $case: "message",
        value: ServeRequest.encode(ServeRequest.fromPartial({ items: [{ item: item as never }] })).finish(),
      });
    say({ $case: "register", value: { agentId: "desk-1", instanceId } });
    await until(() => items().some((one) => one.item?.$case === "registered"), "registered");
    const transfer = browser.call(
      "CallService/TransferCall",
      TransferCallRequest,
      TransferCallResponse,
      TransferCallRequest.fromPartial({
        callId: sim.id,
        requestId: "r-1",
        to: { $case: "instanceId", value: instanceId },
        expectedEpoch: call?.seat?.epoch ?? 0,
        wait: { seconds: 10 },
      }),
    );
    const offer = await until(
      () => items().flatMap(({ item }) => (item?.$case === "offer" ? [item.value] : []))[0],
      "an offer",
    );
    say({ $case: "accept", value: { offerId: offer.offerId } });
    await transfer;
    await until(() => items().some((one) => one.item?.$case === "audio"), "audio for the seat");
    const held = await browser.call("CallService/GetCall", GetCallRequest, GetCallResponse, {
      callId: sim.id,
    });
    expect(held.call?.seat).toMatchObject({ agentId: "desk-1", instanceId });

    // A tab that is closed: the seat is offered again, and the machine has the call.
    browser.close();
    const other = await client();
    await until(
      async () => (await list(other)).calls[0]?.seat?.agentId === "machine",
      "the seat to be given back",
    );
  });

  it("lets in by a ticket once, within its time, of its own origin", async () => {
    const { port } = await desk({ desk: { origins: ["http://localhost:9999"] } });
    const own = await ticketOf(port);
    const status = (protocols: string[], options = {}) =>
      openSocket(port, protocols, options).then(
        (client) => {
          client.close();
          return "open";
        },
        (error: Error) => error.message,
      );
    expect(await status(["callweave.v1", `ticket.${own}`])).toBe("open");
    expect(await status(["callweave.v1", `ticket.${own}`])).toBe("401");
    expect(await status(["callweave.v1", "ticket.wrong"])).toBe("401");
    expect(await status(["callweave.v1"])).toBe("401");
    expect(await status([`ticket.${await ticketOf(port)}`])).toBe("401");
    // In the address it counts for nothing.
    expect(await status(["callweave.v1"], { path: `/api/socket?ticket=${await ticketOf(port)}` })).toBe(
      "401",
    );
    expect(await status(["callweave.v1", `ticket.${await ticketOf(port)}`], { path: "/api/other" })).toBe(
      "404",
    );
    // Asked for by another page, even one that is allowed.
    const theirs = await ticketOf(port, { origin: "http://localhost:9999" });
    expect(await status(["callweave.v1", `ticket.${theirs}`])).toBe("401");
    expect(await status(["callweave.v1", `ticket.${await ticketOf(port)}`], { origin: FOREIGN })).toBe("403");
    expect(await status(["callweave.v1", `ticket.${await ticketOf(port)}`], { origin: "" })).toBe("403");
    expect(
      await status(["callweave.v1", `ticket.${await ticketOf(port)}`], { host: "rebound.example" }),
    ).toBe("403");
  });

  it("gives tickets and sign-ins to its own pages alone, and nothing away", async () => {
    const lines: string[] = [];
    const keys = [{ name: "desk-1", key: KEY }];
    const stack = await rig.stack({
      config: { desk: { max_refusals_per_minute: 3, ticket_ms: 1_000 }, gateway: { grpc: { keys } } },
      logger: logTo(lines),
    });
    const port = stack.gateway.deskPort as number;
    for (const origin of [FOREIGN, "", "null"])
      expect((await post(port, "/api/ticket", { origin, key: KEY })).status).toBe(401);
    expect((await post(port, "/api/ticket", { key: KEY, type: "text/plain" })).status).toBe(400);
    expect((await post(port, "/api/login", { body: "[1]" })).body.error.metadata.field).toBe("body");
    expect((await post(port, "/api/login", { body: `{"key":"${"x".repeat(20_000)}"}` })).status).toBe(400);
    expect((await post(port, "/api/nothing")).status).toBe(404);
    expect((await post(port, "/api/ticket")).body.error.reason).toBe("UNAUTHENTICATED");

    const signedIn = await post(port, "/api/login", { body: JSON.stringify({ key: KEY }) });
    expect(signedIn.body).toMatchObject({ name: "desk-1", tenant: "default" });
    expect(signedIn.headers.get("set-cookie")).toMatch(
      /^callweave_desk=[^;]+; Path=\/; HttpOnly; SameSite=Strict/,
    );
    expect(signedIn.headers.get("cache-control")).toBe("no-store");
    const ticket = await ticketOf(port, { key: KEY });
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    await expect(openSocket(port, ["callweave.v1", `ticket.${ticket}`])).rejects.toThrow("401");

    for (let i = 0; i < 3; i++)
      expect((await post(port, "/api/login", { body: '{"key":"0000000000000000"}' })).status).toBe(401);
    const slowed = await post(port, "/api/login", { body: JSON.stringify({ key: KEY }) });
    expect(slowed.body.error).toMatchObject({ reason: "LIMIT_REACHED" });
    const told = lines.join("\n");
    for (const secret of [KEY, ticket, "0000000000000000"]) expect(told).not.toContain(secret);
  });

  it("shows a tenant its own calls alone", async () => {
    const other = { name: "olga", tenant: "other", key: "0123456789abcdef-olga" };
    const { stack, port } = await desk({ keys: [{ name: "desk-1", key: KEY }, other] });
    const sim = place(stack);
    await until(() => sim.state !== "PENDING" || true, "the call");
    const first = await visit(port, { key: KEY });
    const olga = await visit(port, { key: other.key });
    rig.defer(() => {
      first.close();
      olga.close();
    });
    await until(async () => (await list(first)).calls.length === 1, "desk-1's call");
    expect((await list(olga)).calls).toEqual([]);
    const asked = olga.call("CallService/GetCall", GetCallRequest, GetCallResponse, { callId: sim.id });
    await expect(asked).rejects.toMatchObject({ reason: ErrorReason.CALL_NOT_FOUND });
  });

  it("closes on frames that are too large, malformed, not binary or against the rules (fault 28)", async () => {
    const { client } = await desk({ desk: { max_frame_bytes: 65_536 } });
    const close = async (act: (browser: WireClient) => void) => {
      const browser = await client();
      act(browser);
      return (await browser.closed).code;
    };
    expect(await close((b) => b.socket.send(Buffer.alloc(65_537)))).toBe(1009);
    expect(await close((b) => b.socket.send(Buffer.from([0x0a, 0xff])))).toBe(1007);
    expect(await close((b) => b.socket.send("hello"))).toBe(1003);
    expect(await close((b) => b.send({ stream: 1, item: undefined }))).toBe(1002);
    expect(
      await close((b) => {
        b.open("FleetService/ListPools", undefined, 5);
        b.open("FleetService/ListPools", undefined, 5);
      }),
    ).toBe(1002);
    // A request that is wrong in itself ends its own stream alone.
    const browser = await client();
    for (const [method, request] of [
      ["CallService/Nothing", []],
      ["CallService/GetCall", [0x0a, 0xff]],
      ["CallService/GetCall", []],
    ] as const) {
      const { error } = await browser.open(method, Uint8Array.from(request)).end;
      expect(error?.reason).toBe(ErrorReason.INVALID_FIELD);
    }
    const serve = browser.open("AgentService/Serve");
    serve.send({ $case: "message", value: Uint8Array.from([0x0a, 0xff]) });
    expect((await serve.end).error?.reason).toBe(ErrorReason.INVALID_FIELD);
    expect((await list(browser)).calls).toEqual([]);
  });

  it("answers a thousand messages at once, slower and without loss", async () => {
    const { client, stack } = await desk({ desk: { max_frames_per_second: 500, max_streams: 64 } });
    const browser = await client();
    const startMs = performance.now();
    const ends = await Promise.all(
      Array.from({ length: 1_000 }, () => browser.open("FleetService/ListPools").end),
    );
    const reasons = new Set(ends.map(({ error }) => error?.reason));
    expect(
      [...reasons].filter((reason) => reason !== undefined && reason !== ErrorReason.LIMIT_REACHED),
    ).toEqual([]);
    // 500 at once, the others at 500 a second.
    const tookMs = performance.now() - startMs;
    expect(tookMs).toBeGreaterThan(900);
    const stats = stack.gateway.desk?.stats;
    // A machine that is slower than that slows nobody down.
    if (tookMs < 1_900) expect(stats?.slowedDown).toBeGreaterThan(0);
    expect(stats?.frames).toBe(1_000);
    expect((await list(browser)).calls).toEqual([]);
  });

  it("refuses one stream more than a connection may have, and one connection more (fault 46)", async () => {
    const { port, client } = await desk({ desk: { max_streams: 8, max_connections: 1 } });
    const browser = await client();
    const watches = Array.from({ length: 8 }, () => browser.open("CallService/WatchCalls"));
    await until(() => watches.every(({ messages }) => messages.length > 0), "eight watches");
    expect((await browser.open("CallService/WatchCalls").end).error?.reason).toBe(ErrorReason.LIMIT_REACHED);
    watches[0]?.send({ $case: "cancel", value: {} });
    const again = browser.open("CallService/WatchCalls");
    await until(() => again.messages.length > 0, "a place that was given back");
    await expect(visit(port)).rejects.toThrow("503");
  });

  it("tells its browsers when it goes away", async () => {
    const { client, stack } = await desk();
    const browser = await client();
    const watch = browser.open("CallService/WatchCalls");
    await until(() => watch.messages.length > 0, "a watch");
    await stack.gateway.drain(0);
    expect((await watch.end).error?.reason).toBe(ErrorReason.GOING_AWAY);
    expect((await browser.closed).code).toBe(1001);
  });

  it("serves the page with strict headers, compressed, and nothing beside it", async () => {
    const { port, stack } = await desk();
    const get = (path: string, headers = {}) => fetch(`http://127.0.0.1:${port}${path}`, { headers });
    await until(async () => (await get("/")).status === 200, "the page", 30_000);
    const page = await get("/");
    const policy = page.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toContain("unsafe");
    expect(page.headers.get("x-content-type-options")).toBe("nosniff");
    expect(page.headers.get("referrer-policy")).toBe("no-referrer");
    const html = await page.text();
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\son[a-z]+=/);
    const assets = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path as string);
    expect(assets.length).toBeGreaterThan(0);
    let bytes = 0;
    for (const path of assets) {
      const response = await get(path, { "accept-encoding": "br" });
      expect(response.headers.get("cache-control")).toContain("immutable");
      bytes += Number(response.headers.get("content-length"));
    }
    expect(bytes, "first load, compressed").toBeLessThan(200_000);
    expect((await get("/calls/some-id")).status).toBe(200);
    for (const path of [
      "/assets/none.js",
      "/api/ticket",
      "/..%2f..%2fpackage.json",
      "/.stamp",
      "/index.html.map",
    ])
      expect([404, 200], path).toContain((await get(path)).status);
    expect((await get("/..%2f..%2fpackage.json")).headers.get("content-type")).not.toContain(
      "application/json;",
    );
    const foreign = await rawGet(port, "rebound.example");
    expect(foreign).toContain(" 421 ");
    expect(stack.gateway.deskPort).toBe(port);
  });
});

function rawGet(port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    import("node:net").then(({ connect }) => {
      const socket = connect(port, "127.0.0.1", () =>
        socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
      );
      let text = "";
      socket.on("data", (data) => {
        text += String(data);
      });
      socket.on("end", () => resolve(text));
      socket.on("error", reject);
    }, reject);
  });
}

function logTo(lines: string[]) {
  const keep = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return { debug: keep, info: keep, warn: keep, error: keep };
}
