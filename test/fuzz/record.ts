/**
 * Records the corpus: one real frame of each kind, as they cross the wires while a simulated call is answered, spoken in
 * and ended. `npx tsx test/fuzz/record.ts` writes test/fuzz/corpus/frames.json; what was recorded is committed.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ServeRequest } from "@callweave/proto";
import { frameTone } from "@callweave/simulator";
import { WebSocket } from "ws";
import { Rig } from "../harness/rig.js";

/** As it is committed: text frames as they are, binary ones in base64. */
interface Corpus {
  control: string[];
  mediaText: string[];
  mediaBinary: string[];
  serveRequest: string[];
}

const corpus: Corpus = { control: [], mediaText: [], mediaBinary: [], serveRequest: [] };
const seen = new Set<string>();

function keep(list: string[], kind: string, frame: string, most = 2): void {
  for (let n = 1; n <= most; n++) {
    if (seen.has(`${kind} ${n}`)) continue;
    seen.add(`${kind} ${n}`);
    list.push(frame);
    return;
  }
}

type Send = (this: WebSocket, data: Buffer | string, ...rest: unknown[]) => void;
const send = WebSocket.prototype.send as unknown as Send;
(WebSocket.prototype as unknown as { send: Send }).send = function (data, ...rest) {
  // Of the two ends that are both in this process, the provider's.
  if ((this as unknown as { _isServer: boolean })._isServer) {
    if (typeof data === "string") {
      const { type, data: inner } = JSON.parse(data) as { type: string; data?: { event?: string } };
      const media = ["buffer_request", "command_response", "call_event"].includes(type);
      const anonymous = data
        .replaceAll(/eyJ[\w.-]+/g, "eyJ0.e30.s")
        .replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1:1");
      keep(media ? corpus.mediaText : corpus.control, `${type} ${inner?.event ?? ""}`, anonymous);
    } else keep(corpus.mediaBinary, "audio", Buffer.from(data.subarray(0, 65)).toString("base64"), 3);
  }
  send.call(this, data, ...rest);
};

const decode = ServeRequest.decode;
ServeRequest.decode = (input, length) => {
  const request = decode(input, length);
  const short = {
    items: request.items.map(({ item }) =>
      item?.$case === "audio"
        ? { item: { ...item, value: { ...item.value, pcm: Buffer.from(item.value.pcm.subarray(0, 32)) } } }
        : { item },
    ),
  };
  const kind = request.items.map(({ item }) => item?.$case).join(" ");
  keep(corpus.serveRequest, kind, Buffer.from(ServeRequest.encode(short).finish()).toString("base64"), 1);
  return request;
};

const rig = new Rig();
try {
  const stack = await rig.stack();
  await rig.agent(stack, {}, async (call) => {
    await call.answer();
    void call.play(Buffer.alloc(64_000)).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  });
  const phone = stack.simulator.placeCall({ from: "+15550100", caller: [frameTone(3)] });
  await phone.waitFor("ANSWERED");
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  phone.sendError();
  phone.hangUp();
  await phone.waitFor("DISCONNECTED");
} finally {
  await rig.stopAll();
}
const file = fileURLToPath(new URL("corpus/frames.json", import.meta.url));
writeFileSync(file, `${JSON.stringify(corpus, null, 2)}\n`);
console.log(
  Object.entries(corpus)
    .map(([name, list]) => `${name}: ${list.length}`)
    .join(", "),
);
