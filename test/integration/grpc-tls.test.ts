import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgentServiceClient, FleetServiceClient, ServeRequest } from "@callweave/proto";
import * as grpc from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { FakeApi, FakeLogger } from "../../gateway/src/contract/testing.js";
import { createGrpcServer } from "../../gateway/src/grpc/server.js";
import { until } from "./grpc-until.js";

let directory: string;
const file = (name: string) => readFileSync(join(directory, name));

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

function makeCa(name: string): void {
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-days",
    "2",
    "-subj",
    `/CN=${name}`,
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.pem`,
  );
}

function issue(name: string, authority: string): void {
  openssl("req", ...newKey, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
  const signer = ["-CA", `${authority}.pem`, "-CAkey", `${authority}.key`, "-CAcreateserial"];
  openssl(
    "x509",
    "-req",
    "-in",
    `${name}.csr`,
    ...signer,
    "-days",
    "2",
    "-extfile",
    "san",
    "-out",
    `${name}.pem`,
  );
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "callweave-grpc-tls-"));
  writeFileSync(join(directory, "san"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  makeCa("ca");
  makeCa("other-ca");
  issue("server", "ca");
  issue("client", "ca");
  issue("stranger", "other-ca");
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function start(withClientCa: boolean) {
  const api = new FakeApi();
  const tls = {
    cert: file("server.pem"),
    key: file("server.key"),
    ...(withClientCa && { clientCa: file("ca.pem") }),
  };
  const edge = createGrpcServer(api, { tls }, new FakeLogger());
  stops.push(() => edge.stop());
  return { api, edge, port: await edge.listen() };
}

function pools(port: number, credentials: grpc.ChannelCredentials): Promise<number> {
  const client = new FleetServiceClient(`127.0.0.1:${port}`, credentials, {
    "grpc.use_local_subchannel_pool": 1,
  });
  stops.push(() => client.close());
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + 10_000 };
    client.listPools({}, new grpc.Metadata(), options, (error, response) =>
      error ? reject(error) : resolve(response?.pools.length ?? 0),
    );
  });
}

describe("gRPC edge / TLS", () => {
  it("serves over TLS and nobody without", async () => {
    const { port, api, edge } = await start(false);
    const trusted = grpc.credentials.createSsl(file("ca.pem"));
    expect(await pools(port, trusted)).toBe(1);
    await expect(pools(port, grpc.credentials.createSsl(file("other-ca.pem")))).rejects.toMatchObject({
      code: 14,
    });
    await expect(pools(port, grpc.credentials.createInsecure())).rejects.toMatchObject({ code: 14 });

    // Bytes that are no handshake end their own connection alone.
    const noise = connect(port, "127.0.0.1");
    noise.on("error", () => {});
    noise.write("GET / HTTP/1.1\r\n\r\n");
    noise.resume();
    await until(() => noise.destroyed);

    const client = new AgentServiceClient(`127.0.0.1:${port}`, trusted);
    stops.push(() => client.close());
    const stream = client.serve();
    stream.on("error", () => {});
    const got: unknown[] = [];
    stream.on("data", (message) => got.push(message));
    stream.write(
      ServeRequest.fromPartial({ items: [{ item: { $case: "register", value: { agentId: "echo" } } }] }),
    );
    await until(() => got.length === 1 && api.agents.begun.length === 1);
    stream.cancel();
    await until(() => edge.stats.serveStreams === 0);
  });

  it("asks for a certificate of the client's when told to", async () => {
    const { port } = await start(true);
    const known = grpc.credentials.createSsl(file("ca.pem"), file("client.key"), file("client.pem"));
    expect(await pools(port, known)).toBe(1);
    const stranger = grpc.credentials.createSsl(file("ca.pem"), file("stranger.key"), file("stranger.pem"));
    await expect(pools(port, stranger)).rejects.toMatchObject({ code: 14 });
    await expect(pools(port, grpc.credentials.createSsl(file("ca.pem")))).rejects.toMatchObject({ code: 14 });
  });
});
