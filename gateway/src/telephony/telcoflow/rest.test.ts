import type { IncomingMessage, ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../util/clock.js";
import { FakeProvider } from "./fake-provider.js";
import type { TelcoflowLimits } from "./options.js";
import { RestClient } from "./rest.js";

let provider: FakeProvider;
let requests: IncomingMessage[];
let answer: (response: ServerResponse) => void;

beforeEach(async () => {
  provider = await FakeProvider.start();
  requests = [];
  provider.http.on("request", (request, response) => {
    requests.push(request);
    answer(response);
  });
});
afterEach(() => provider.stop());

function client(limits: Partial<TelcoflowLimits> = {}): RestClient {
  return new RestClient(provider.settings(limits), systemClock);
}

describe("RestClient", () => {
  it("lists open calls with the credential in headers", async () => {
    answer = (response) =>
      response.end(
        JSON.stringify({
          items: [
            { id: "s-1", channel: "TELCO", state: "OPEN", initiator: "CONNECTOR" },
            { id: "s-2", channel: "WA", state: "OPEN" },
            { id: "s-3", channel: "TELCO", state: "CLOSED" },
            null,
          ],
        }),
      );
    const sessions = await client().openSessions();
    expect(sessions.map((session) => session.id)).toEqual(["s-1"]);
    expect(requests[0]?.url).toBe("/public/v1/sessions?channel=TELCO&state=OPEN");
    expect(requests[0]?.headers).toMatchObject({ "x-api-key": "k-secret", "x-connector-uuid": "u-1" });
  });

  it("asks once for all who ask at the same time", async () => {
    answer = (response) => setTimeout(() => response.end('{"items":[]}'), 20);
    const rest = client();
    await Promise.all([rest.openSessions(), rest.openSessions(), rest.openSessions()]);
    expect(requests).toHaveLength(1);
    await rest.openSessions();
    expect(requests).toHaveLength(2);
  });

  it.each<[string, (response: ServerResponse) => void, object]>([
    [
      "a refusal with its code",
      (r) => r.writeHead(403).end('{"code":"FORBIDDEN","message":"key k-secret is blocked"}'),
      { httpStatus: 403, code: "FORBIDDEN", message: "HTTP 403 FORBIDDEN: key [secret] is blocked" },
    ],
    ["a refusal of another form", (r) => r.writeHead(502).end("<html>"), { httpStatus: 502, code: "" }],
    ["a redirect", (r) => r.writeHead(302, { location: "http://127.0.0.1:9/" }).end(), { httpStatus: 302 }],
    ["no JSON", (r) => r.end("{"), { message: "the list of sessions is not JSON" }],
    ["no list", (r) => r.end("[]"), { message: "the list of sessions has no items" }],
    ["a cut answer", (r) => r.write("{", () => r.destroy()), { httpStatus: 0 }],
    ["a cut connection", (r) => r.destroy(), { httpStatus: 0 }],
    ["an endless answer", (r) => r.end(Buffer.alloc(100_000)), { message: "the answer is too long" }],
    ["no answer", () => {}, { message: "no answer in time" }],
  ])("rejects on %s", async (_name, respond, error) => {
    answer = respond;
    await expect(client({ restTimeoutMs: 300, restMaxBytes: 50_000 }).openSessions()).rejects.toMatchObject({
      name: "RestError",
      ...error,
    });
  });
});
