import { readFileSync } from "node:fs";
import * as contract from "@callweave/proto";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { BusEndpoint } from "../../gateway/src/bus/bus.js";
import { MemoryBusServer } from "../../gateway/src/bus/memory-bus.js";
import {
  agentRegisterSubject,
  agentSubject,
  contextSubject,
  eventSubject,
} from "../../gateway/src/bus/subjects.js";
import { FakeApi, FakeLogger } from "../../gateway/src/contract/testing.js";
import { createNatsWire } from "../../gateway/src/nats/index.js";
import { HEADERS } from "../../gateway/src/nats/messages.js";
import { audioFormatSubject, rpcSubject } from "../../gateway/src/nats/wire-subjects.js";
import { textOf } from "./repository.js";

const page = textOf("docs/nats-subjects.md");
// biome-ignore lint/suspicious/noExplicitAny: a file
const api: any = parse(textOf("docs/asyncapi.yaml"));

/** What the wire serves. */
async function endpoints(): Promise<readonly BusEndpoint[]> {
  const bus = new MemoryBusServer().connect();
  let served: readonly BusEndpoint[] = [];
  bus.service = async (_about, given) => {
    served = given;
    return { stop() {} };
  };
  const options = { gatewayId: "g-1", version: "0.1.0", serverIsLocal: true };
  const wire = createNatsWire(new FakeApi(), bus, options, new FakeLogger());
  await wire.start();
  wire.stop();
  return served;
}

const METHODS = [
  contract.CallServiceDefinition,
  contract.ContextServiceDefinition,
  contract.FleetServiceDefinition,
  contract.AuditServiceDefinition,
]
  .flatMap((service) => Object.values(service))
  .filter((method) => !method.responseStream)
  .map((method) => method.path.split("/").at(-1) as string);

const SUBJECTS = {
  "callweave.{tenant}.calls.{callId}.events": eventSubject("t", "c"),
  "callweave.{tenant}.contexts.{callId}": contextSubject("t", "c"),
  "callweave.{tenant}.calls.{callId}.audio.{source}": audioFormatSubject(
    "t",
    "c",
    "s",
    { encoding: "S16LE", sampleRateHz: 8000 },
    8000,
  ),
  "callweave.{tenant}.calls.{callId}.audio.{source}.{format}": audioFormatSubject(
    "t",
    "c",
    "s",
    { encoding: "MULAW", sampleRateHz: 8000 },
    8000,
  ).replace("MULAW-8000", "f"),
  "callweave.{tenant}.agents.register": agentRegisterSubject("t"),
  "callweave.{tenant}.agents.{session}.up": agentSubject("t", "s", "up"),
  "callweave.{tenant}.agents.{session}.down": agentSubject("t", "s", "down"),
};

const SHORT: Readonly<Record<string, string>> = {
  "{tenant}": "t",
  "{callId}": "c",
  "{source}": "s",
  "{format}": "f",
  "{session}": "s",
};
const LONG: Readonly<Record<string, string>> = {
  "{tenant}": "<t>",
  "{callId}": "<id>",
  "{source}": "<source>",
  "{format}": "<format>",
  "{session}": "<session>",
};
const filled = (address: string, by: Readonly<Record<string, string>>) =>
  address.replace(/\{\w+\}/g, (name) => by[name] ?? name);

describe("docs/nats-subjects.md and docs/asyncapi.yaml", () => {
  it("name the subjects that the code makes", () => {
    for (const [address, made] of Object.entries(SUBJECTS)) {
      expect(filled(address, SHORT)).toBe(made);
      expect(page).toContain(`\`${filled(address, LONG)}\``);
    }
    // biome-ignore lint/suspicious/noExplicitAny: a file
    const addresses = Object.values<any>(api.channels).map((channel) => channel.address);
    const rpcs = [...METHODS, "ListenCall"].map((method) =>
      rpcSubject("{tenant}", method).replace("=7Btenant=7D", "{tenant}"),
    );
    expect(addresses.sort()).toEqual([...Object.keys(SUBJECTS), ...rpcs].sort());
  });

  it("have every endpoint with its messages", async () => {
    const served = await endpoints();
    expect(served.map(({ name }) => name).sort()).toEqual([...METHODS, "ListenCall", "Serve"].sort());
    for (const { name, subject, metadata } of served) {
      const operation = api.operations[name];
      expect(operation, name).toMatchObject({ action: "receive" });
      const channel = resolved(operation.channel.$ref);
      expect(channel.address.replace("{tenant}", "*"), name).toBe(subject);
      const request = resolved(resolved(operation.messages[0].$ref).$ref);
      const reply = resolved(resolved(operation.reply.messages[0].$ref).$ref);
      expect([request.name, reply.name]).toEqual([metadata?.request, metadata?.response]);
    }
  });

  it("refer to what is there", () => {
    const refs = [...textOf("docs/asyncapi.yaml").matchAll(/\$ref: "(#[^"]+)"/g)].map(
      (match) => match[1] as string,
    );
    for (const ref of refs) expect(resolved(ref), ref).toBeDefined();
    for (const [name, message] of Object.entries<{ name: string; payload: { schema: { $ref: string } } }>(
      api.components.messages,
    )) {
      expect(message.name).toBe(`callweave.v1.${name}`);
      const file = readFileSync(
        new URL(message.payload.schema.$ref, new URL("../../docs/", import.meta.url)),
        "utf8",
      );
      expect(file).toContain(`message ${name} {`);
    }
  });

  it("name every header", () => {
    for (const name of Object.values(HEADERS)) expect(page).toContain(`\`${name}\``);
  });
});

// biome-ignore lint/suspicious/noExplicitAny: a file
function resolved(ref: string): any {
  return ref
    .slice(2)
    .split("/")
    .reduce((at, step) => at?.[step], api);
}
