import { connect } from "node:http2";
import { afterEach, expect, it } from "vitest";
import { FakeApi, FakeLogger } from "../contract/testing.js";
import { createGrpcServer, type GrpcEdge } from "./server.js";

let edge: GrpcEdge | undefined;
afterEach(async () => edge?.stop());

it("lets a client have as much under way as the option says, in a stream and on the connection", async () => {
  edge = createGrpcServer(new FakeApi(), { receiveWindowBytes: 500_000 }, new FakeLogger());
  const client = connect(`http://127.0.0.1:${await edge.listen()}`);
  try {
    const settings = await new Promise<{ initialWindowSize?: number }>((resolve, reject) => {
      client.once("remoteSettings", resolve);
      client.once("error", reject);
    });
    expect(settings.initialWindowSize).toBe(500_000);
    await new Promise<void>((resolve, reject) => client.ping((error) => (error ? reject(error) : resolve())));
    expect(client.state.remoteWindowSize).toBe(500_000);
  } finally {
    client.destroy();
  }
});
