import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { natsAvailable } from "../harness/nats.js";
import { useRig } from "../harness/rig.js";
import { until } from "../harness/until.js";
import { server } from "./nats-harness.js";

const available = await natsAvailable();
const rig = useRig();
const types = (bodies: readonly { readonly type: string }[]) => bodies.map(({ type }) => type);

it.skipIf(!available)("webhooks over JetStream: what one gateway left, the next delivers", async () => {
  // biome-ignore lint/suspicious/noExplicitAny: JSON
  const got: any[] = [];
  let status = 204;
  const receiver = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    if (status === 204) got.push(JSON.parse(Buffer.concat(pieces).toString("utf8")));
    response.writeHead(status).end();
  }).listen(0, "127.0.0.1");
  rig.defer(() => receiver.close().closeAllConnections());
  await until(() => receiver.listening, "the receiver");
  const at = await server({ jetstream: true });
  const webhook = {
    name: "crm",
    url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`,
    secret: "the-secret-of-this-webhook",
    events: ["arrived", "answered", "ended"],
    include_context: "header",
    first_retry_ms: 50,
    max_retry_ms: 200,
    lease_ms: 1_000,
  };
  const config = { nats: { urls: [at.url] }, webhooks: [webhook], webhooks_allowed_hosts: ["127.0.0.1"] };
  const delivering = (stack: Awaited<ReturnType<typeof rig.stack>>) =>
    until(() => stack.gateway.ops.sources.webhooks?.views()[0]?.delivering, "somebody to deliver");

  const first = await rig.stack({ config });
  await delivering(first);
  const agent = await rig.agent(first, { answerOnAccept: true });
  const phone = first.simulator.placeCall({ from: "+15550100", to: "+15550101" });
  await agent.call();
  await until(() => got.length === 2, "the events of the call");
  expect(types(got)).toEqual(["arrived", "answered"]);
  expect(got[0].event.callId).toBe(phone.id);
  // Nobody takes the last one before this gateway ends.
  status = 503;
  phone.hangUp();
  await until(() => (first.gateway.ops.sources.webhooks?.views()[0]?.failed ?? 0) > 0, "a failed attempt");
  await first.gateway.stop();

  status = 204;
  const second = await rig.stack({ config });
  await delivering(second);
  await until(() => got.length === 3, "what was left");
  expect(got[2]).toMatchObject({ type: "ended", event: { callId: phone.id } });
  expect(new Set(got.map(({ id }) => id)).size).toBe(3);
});
