/**
 * Browsers that listen: each with a WebSocket of its own, to one call each in turn. Argument: the port of the desk.
 */
import { BrowserRequest, BrowserResponse, ListenCallRequest, ListenCallResponse } from "@callweave/proto";
import { WebSocket } from "ws";
import { answerMain } from "../ipc.js";

const [port = ""] = process.argv.slice(2);
const origin = `http://127.0.0.1:${port}`;
let audio = 0;
let gaps = 0;
let ended = 0;

async function open(callId: string): Promise<void> {
  const answer = await fetch(`${origin}/api/ticket`, {
    method: "POST",
    headers: { "content-type": "application/json", origin },
    body: "{}",
  });
  const { ticket } = (await answer.json()) as { ticket: string };
  const socket = new WebSocket(`ws://127.0.0.1:${port}/api/socket`, ["callweave.v1", `ticket.${ticket}`], {
    origin,
  });
  await new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  socket.on("message", (data: Buffer) => {
    const { item } = BrowserResponse.decode(data);
    if (item?.$case === "end") ended++;
    if (item?.$case !== "message") return;
    const told = ListenCallResponse.decode(item.value).item;
    if (told?.$case === "audio") audio++;
    if (told?.$case === "gap") gaps++;
  });
  const request = ListenCallRequest.encode(ListenCallRequest.fromPartial({ callId })).finish();
  const value = { method: "CallService/ListenCall", request };
  socket.send(BrowserRequest.encode({ stream: 1, item: { $case: "open", value } }).finish());
}

answerMain(
  {
    listen: async ({ callIds, count }: { callIds: string[]; count: number }) => {
      for (let i = 0; i < count; i++) await open(callIds[i % callIds.length] as string);
    },
    /** How many messages of audio came, holes in it, and streams that ended. */
    heard: () => ({ audio, gaps, ended }),
  },
  {},
);
