import { readFileSync } from "node:fs";
import { type AgentItem, AgentServiceClient, type GatewayItem } from "@callweave/proto";
import { credentials } from "@grpc/grpc-js";

/** What it is told. */
interface SimpleArgs {
  readonly endpoints?: readonly string[];
  readonly agentId?: string;
  readonly file?: string;
}

const PIECE_BYTES = 3200;

/**
 * The simple form, with generated stubs alone: capacity 1, no handles, one item a message, no heartbeat. Takes one call,
 * plays the file and leaves with Bye when it was heard. Resolves when the stream is over.
 */
export function simpleForm(
  { endpoints = [], agentId = "simple", file = "" }: SimpleArgs,
  print: (line: object) => unknown,
): Promise<object> {
  const client = new AgentServiceClient(endpoints[0] ?? "", credentials.createInsecure(), {
    "grpc.enable_http_proxy": 0,
  });
  const stream = client.serve();
  const send = (item: AgentItem["item"]) => void stream.write({ items: [{ item }] });
  let callId = "";
  const onItem = ({ item }: GatewayItem) => {
    switch (item?.$case) {
      case "registered":
        print({ event: "registered" });
        break;
      case "offer":
        send({ $case: "accept", value: { offerId: "" } });
        break;
      case "assigned": {
        callId = item.value.call?.callId ?? "";
        print({ event: "call", call: callId });
        const audio = readFileSync(file);
        for (let at = 0; at < audio.length; at += PIECE_BYTES) {
          send({ $case: "audio", value: { handle: 0, pcm: audio.subarray(at, at + PIECE_BYTES) } });
        }
        send({ $case: "mark", value: { handle: 0, name: "said" } });
        break;
      }
      case "markReached":
        send({ $case: "bye", value: {} });
        stream.end();
        break;
      default:
        break;
    }
  };
  stream.on("data", ({ items }: { items: GatewayItem[] }) => items.forEach(onItem));
  send({
    $case: "register",
    value: {
      agentId,
      instanceId: "",
      pool: "",
      capacity: 1,
      audioFormat: undefined,
      labels: {},
      answerOnAccept: true,
      heartbeat: false,
      noAudio: false,
    },
  });
  return new Promise((resolve, reject) => {
    stream.on("error", reject);
    stream.on("end", () => {
      client.close();
      resolve({ call: callId });
    });
  });
}
