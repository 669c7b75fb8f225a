import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ServeRequest, ServeResponse } from "./gen/callweave/v1/agent_service.js";
import {
  AgentServiceClient,
  AgentServiceDefinition,
  AuditServiceDefinition,
  CallServiceDefinition,
  ContextServiceDefinition,
  encodeMessage,
  FleetServiceDefinition,
  type MessageCodec,
} from "./services.js";

const audio = (bytes: number) =>
  ServeResponse.fromPartial({
    items: [
      { item: { $case: "audio", value: { handle: 7, sequence: 3, position: 480, pcm: randomish(bytes) } } },
      { item: { $case: "goAway", value: { deadline: { seconds: 3, nanos: 5 } } } },
    ],
  });

function randomish(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 37) & 255);
}

describe("encodeMessage()", () => {
  it("writes the bytes of the generated encode, whatever came before", () => {
    for (const size of [1, 0, 960, 127, 128, 300_000, 5, 1_200_000, 960]) {
      const message = audio(size);
      expect(
        Buffer.compare(encodeMessage(ServeResponse, message), ServeResponse.encode(message).finish()),
      ).toBe(0);
    }
  });

  it("gives a result that later messages do not overwrite", () => {
    const first = encodeMessage(ServeResponse, audio(960));
    const copy = Buffer.from(first);
    encodeMessage(ServeResponse, audio(961));
    expect(Buffer.compare(first, copy)).toBe(0);
  });

  it("starts afresh after an encode that threw", () => {
    const bad = ServeRequest.fromPartial({
      items: [{ item: { $case: "mark", value: { handle: -1, name: "x" } } }],
    });
    expect(() => encodeMessage(ServeRequest, bad)).toThrow();
    const good = ServeRequest.fromPartial({
      items: [{ item: { $case: "mark", value: { handle: 1, name: "x" } } }],
    });
    expect(encodeMessage(ServeRequest, good).equals(ServeRequest.encode(good).finish())).toBe(true);
  });

  it("may be used while it is at work", () => {
    const inner = ServeRequest.fromPartial({
      items: [{ item: { $case: "heartbeat", value: { load: 0.5 } } }],
    });
    let nested: Buffer | undefined;
    const codec: MessageCodec<ServeRequest> = {
      decode: ServeRequest.decode,
      encode: (message, writer) => {
        nested = encodeMessage(ServeRequest, inner);
        return ServeRequest.encode(message, writer);
      },
    };
    const outer = ServeRequest.fromPartial({ items: [{ item: { $case: "drain", value: {} } }] });
    expect(encodeMessage(codec, outer).equals(ServeRequest.encode(outer).finish())).toBe(true);
    expect(nested?.equals(ServeRequest.encode(inner).finish())).toBe(true);
  });
});

describe("service definitions", () => {
  it("name every RPC of the .proto text with its stream kinds", () => {
    const dir = new URL("../callweave/v1/", import.meta.url);
    const wanted: string[] = [];
    for (const file of readdirSync(dir)) {
      const text = readFileSync(new URL(file, dir), "utf8");
      const service = /^service (\w+) \{/m.exec(text)?.[1];
      const rpcs = text.matchAll(/^ {2}rpc (\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\)/gm);
      for (const [, name, up, , down] of rpcs) {
        wanted.push(`/callweave.v1.${service}/${name} ${Boolean(up)} ${Boolean(down)}`);
      }
    }
    const defined = [
      AgentServiceDefinition,
      AuditServiceDefinition,
      CallServiceDefinition,
      ContextServiceDefinition,
      FleetServiceDefinition,
    ].flatMap((d) => Object.values(d).map((m) => `${m.path} ${m.requestStream} ${m.responseStream}`));
    expect(defined.sort()).toEqual(wanted.sort());
    expect(wanted.length).toBe(28);
  });

  it("round-trip a message and keep its audio as a view", () => {
    const { responseSerialize, responseDeserialize } = AgentServiceDefinition.serve;
    const bytes = responseSerialize(audio(960));
    const back = responseDeserialize(bytes);
    expect(back).toEqual(audio(960));
    const item = back.items[0]?.item;
    if (item?.$case !== "audio") throw new Error("audio expected");
    expect(item.value.pcm.buffer).toBe(bytes.buffer);
  });

  it("make clients", () => {
    expect(typeof AgentServiceClient.prototype.serve).toBe("function");
  });
});
