import { createServer } from "node:net";
import { status } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { FakeGateway, serviceError } from "../testing/fake-gateway.js";
import { connect } from "./index.js";

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** An address at which nobody listens. */
async function deadEndpoint(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}

/** A gateway that answers appendTurns, and the ids of the turns it was given. */
async function gateway(answer?: () => Error | undefined): Promise<{ endpoint: string; ids: string[] }> {
  const made = new FakeGateway();
  const ids: string[] = [];
  await made.start({
    contexts: {
      appendTurns: ({ request }, callback) => {
        ids.push(...request.turns.map(({ id }) => id));
        const error = answer?.();
        if (error) callback(error, null);
        else callback(null, { turnCount: ids.length, durability: 1 });
      },
    },
  });
  stops.push(() => made.stop());
  return { endpoint: made.endpoint, ids };
}

const client = (endpoints: string[], requestTimeoutMs = 10_000) => {
  const made = connect({ endpoints, requestTimeoutMs });
  stops.push(() => made.close());
  return made;
};
const turn = { id: "t-1", role: "CALLER", text: "Hello" } as const;

describe("unary requests with several endpoints", () => {
  it("what may be repeated goes to the endpoint that answers, and so does what follows", async () => {
    const living = await gateway();
    const dead = await deadEndpoint();
    const { contexts } = client([dead, dead, living.endpoint]);
    const startMs = performance.now();
    await contexts.appendTurns("c-1", [turn]);
    await contexts.appendTurns("c-1", [{ ...turn, id: "t-2" }]);
    expect(performance.now() - startMs).toBeLessThan(5_000);
    expect(living.ids).toEqual(["t-1", "t-2"]);
  });

  it("what may not be repeated fails once, and the next request goes elsewhere", async () => {
    const living = await gateway();
    const { contexts } = client([await deadEndpoint(), living.endpoint]);
    await expect(contexts.update("c-1", { summary: "s" })).rejects.toMatchObject({
      reason: "TRANSPORT",
      code: "UNAVAILABLE",
    });
    await contexts.appendTurns("c-1", [turn]);
    expect(living.ids).toEqual(["t-1"]);
  });

  it("what a gateway itself refuses is not asked elsewhere", async () => {
    const refusing = await gateway(() => serviceError(status.UNAVAILABLE, "CONTEXT_STORE_AWAY"));
    const other = await gateway();
    const { contexts } = client([refusing.endpoint, other.endpoint]);
    await expect(contexts.appendTurns("c-1", [turn])).rejects.toMatchObject({ reason: "CONTEXT_STORE_AWAY" });
    expect([refusing.ids, other.ids]).toEqual([["t-1"], []]);
  });

  it("nobody anywhere: the timeout holds", async () => {
    const { contexts } = client([await deadEndpoint(), await deadEndpoint()], 600);
    const startMs = performance.now();
    await expect(contexts.appendTurns("c-1", [turn])).rejects.toMatchObject({ reason: "TRANSPORT" });
    const tookMs = performance.now() - startMs;
    expect(tookMs).toBeGreaterThan(300);
    expect(tookMs).toBeLessThan(5_000);
  });
});
