import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { until } from "../harness/until.js";
import { type DeskRig, useDesk } from "./desk-rig.js";
import { post } from "./wire-client.js";

const rig = useDesk();
const READER = "0123456789abcdef-reader";
const LOOKER = "0123456789abcdef-looker";
const KEYS = [
  { name: "reader", key: READER, scopes: ["context:read"] },
  { name: "looker", key: LOOKER, scopes: ["fleet"] },
  { name: "other", tenant: "acme", key: "0123456789abcdef-other", scopes: ["context:read"] },
];
/** What must not become markup. */
const SCRIPT = `<img src=x onerror="document.title='pwned'"><script>document.title='pwned'</script>`;

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

/** Another page, at a port of its own, that holds what it is asked to hold in a frame. */
async function otherPage(): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end("<!doctype html><title>other</title><iframe width=800 height=600></iframe>");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  servers.push(server);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function setting(embed: object = {}) {
  const stage = await rig.stage({ keys: KEYS, desk: { embed } });
  const port = stage.gateway.deskPort as number;
  const { contexts } = stage.gateway.gateway;
  const save = (callId: string, more: object = {}) =>
    contexts.save("default", {
      callId,
      caller: "+15550100",
      callee: "+15550101",
      summary: "Wants a refund.",
      ...more,
    });
  await save("c-1");
  await save("c-2");
  /** A link, as a server asks for it: without an origin. */
  const link = (callId: string, key = READER) =>
    post(port, "/v1/embed-links", { origin: "", key, body: JSON.stringify({ call_id: callId }) });
  const tokenOf = async (callId: string) => new URL((await link(callId)).body.url).hash.slice("#t=".length);
  const exchange = (callId: string, token: string, origin?: string) =>
    post(port, "/embed/exchange", {
      ...(origin === undefined ? {} : { origin }),
      body: JSON.stringify({ call_id: callId, token }),
    });
  return { stage, port, save, link, tokenOf, exchange };
}

describe("context cards", () => {
  it("give a link to whoever may read the context, for a call that there is", async () => {
    const { port, link } = await setting();
    const { status, body } = await link("c-1");
    expect(status).toBe(200);
    expect(body.expires_in_ms).toBe(60_000);
    expect(body.url).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:${port}/embed/context/c-1#t=[\\w-]{32}$`));
    expect(await link("c-1", LOOKER)).toMatchObject({
      status: 403,
      body: { error: { reason: "PERMISSION_DENIED" } },
    });
    expect((await link("c-1", "0123456789abcdef-other")).status).toBe(404);
    expect((await link("none")).status).toBe(404);
    expect((await link("c-1", "0123456789abcdef-wrong")).status).toBe(401);
    expect((await post(port, "/v1/embed-links", { origin: "", body: '{"call_id":"c-1"}' })).status).toBe(401);
    const foreign = { origin: "http://evil.example", key: READER, body: '{"call_id":"c-1"}' };
    expect((await post(port, "/v1/embed-links", foreign)).status).toBe(401);
    expect((await link("")).body.error.reason).toBe("INVALID_FIELD");
  });

  it("use a link once, for its own call, from the desk's own page", async () => {
    const { port, tokenOf, exchange } = await setting();
    const first = await tokenOf("c-1");
    const used = await exchange("c-1", first);
    expect(used.status).toBe(200);
    expect((await exchange("c-1", first)).status).toBe(401);
    // Another call's: refused, and used up by the attempt.
    const second = await tokenOf("c-1");
    expect((await exchange("c-2", second)).status).toBe(401);
    expect((await exchange("c-1", second)).status).toBe(401);
    const third = await tokenOf("c-1");
    expect((await exchange("c-1", third, "http://evil.example")).status).toBe(401);
    expect((await exchange("c-1", third, "")).status).toBe(401);
    // What a link gives is no ticket, no key and no link; and a session is no token.
    const { session } = used.body;
    expect((await post(port, "/api/ticket", { key: session })).status).toBe(401);
    expect((await exchange("c-1", session)).status).toBe(401);
    expect((await post(port, "/embed/updates", { body: JSON.stringify({ session: third }) })).status).toBe(
      401,
    );
  });

  it("take no link that is too old, and are bounded", async () => {
    const { tokenOf, exchange, link } = await setting({ link_ms: 1_000, max_links: 2, max_sessions: 1 });
    const old = await tokenOf("c-1");
    await tokenOf("c-1");
    expect((await link("c-1")).body.error).toMatchObject({
      reason: "LIMIT_REACHED",
      metadata: { limit: "embed.max_links" },
    });
    const again = await until(async () => {
      const { body } = await link("c-1");
      return (body.url as string | undefined)?.split("#t=")[1];
    }, "the links to be too old");
    expect((await exchange("c-1", old)).status).toBe(401);
    expect((await exchange("c-1", again)).status).toBe(200);
    const full = await exchange("c-1", await tokenOf("c-1"));
    expect(full.body.error).toMatchObject({
      reason: "LIMIT_REACHED",
      metadata: { limit: "embed.max_sessions" },
    });
  });

  it("may be framed by the pages that are configured, and by none otherwise", async () => {
    const headersOf = async (port: number) =>
      (await fetch(`http://127.0.0.1:${port}/embed/context/c-1`)).headers;
    const alone = await headersOf((await setting()).port);
    expect(alone.get("content-security-policy")).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
    expect(alone.get("content-security-policy")).not.toContain("unsafe");
    expect(alone.get("x-frame-options")).toBe("DENY");
    const { port } = await setting({ frame_ancestors: ["https://crm.example.com", "https://*.example.org"] });
    const framed = await headersOf(port);
    expect(framed.get("content-security-policy")).toMatch(
      /frame-ancestors https:\/\/crm\.example\.com https:\/\/\*\.example\.org$/,
    );
    expect(framed.get("x-frame-options")).toBeNull();
    // The desk itself stays out of frames.
    expect((await fetch(`http://127.0.0.1:${port}/`)).headers.get("content-security-policy")).toContain(
      "frame-ancestors 'none'",
    );
    for (const path of ["/embed/", "/embed/context/", "/embed/context/a/b", "/embed/card.html", "/v1/x"])
      expect((await fetch(`http://127.0.0.1:${port}${path}`)).status, path).toBe(404);
  });

  it("show the context in another page, as text, and what is written later", async () => {
    const other = await otherPage();
    const { save, link } = await setting({ frame_ancestors: [other] });
    const time = new Date();
    const turn = (id: string, text: string) => ({
      id,
      role: "CALLER" as const,
      text,
      locale: "en",
      time,
      heard: "",
      interrupted: false,
    });
    await save("c-1", { summary: `Refund ${SCRIPT}`, turns: [turn("t1", SCRIPT)], data: { order: SCRIPT } });
    const { url } = (await link("c-1")).body;
    const card = await framed(rig, other, url);
    await card.getByText("Live").waitFor();
    expect(await card.locator("#summary").textContent()).toBe(`Refund ${SCRIPT}`);
    expect(await card.locator("#turns li").textContent()).toContain(SCRIPT);
    expect(await card.locator("#facts").textContent()).toContain(SCRIPT);
    expect(await card.locator("img, #turns script").count()).toBe(0);
    expect(await card.locator("html").evaluate("document.title")).toBe("Call");
    // The link is not left in the address of the frame.
    expect(await card.locator("html").evaluate("location.hash")).toBe("");
    await save("c-1", { turns: [turn("t2", "And my address has changed.")] });
    await card.getByText("And my address has changed.").waitFor();
    expect(await card.locator("#turns li").count()).toBe(2);
    // Once more by the same link: nothing.
    const again = await framed(rig, other, url);
    await again.getByText("This link was used or is too old").waitFor();
    expect(await again.locator("#summary").isHidden()).toBe(true);
    expect(rig.errors).toEqual([]);
  });
});

/** A page of the other site with the card in its frame. */
async function framed(desk: DeskRig, other: string, url: string) {
  const page = await desk.page(other);
  await page.evaluate(`document.querySelector("iframe").src = ${JSON.stringify(url)}`);
  return page.frameLocator("iframe");
}
