// An agent on NATS: answers and says back what it hears. npx tsx examples/nats-answer-and-echo.ts
import { type AgentItem, Register, RegisterReply, ServeRequest, ServeResponse } from "@callweave/proto";
import { connect, headers } from "nats";

const { NATS_URL = "nats://127.0.0.1:4222", TENANT = "default", CALLWEAVE_KEY } = process.env;
const nc = await connect({ servers: NATS_URL });
const agents = `callweave.${TENANT}.agents`;
const frame = (item: AgentItem["item"]) => ServeRequest.encode({ items: [{ item }] }).finish();
function lines(name: string, value: string) {
  const made = headers();
  made.set(name, value);
  if (CALLWEAVE_KEY) made.set("Callweave-Authorization", `Bearer ${CALLWEAVE_KEY}`);
  return { headers: made, timeout: 5_000 };
}

const first = frame({ $case: "register", value: Register.create({ agentId: "echo", answerOnAccept: true }) });
const answer = await nc.request(`${agents}.register`, first, lines("Content-Type", "application/protobuf"));
const { session } = RegisterReply.decode(answer.data);
const down = nc.subscribe(`${agents}.${session}.down`);
let sequence = 0;
const send = (item: AgentItem["item"]) =>
  nc.publish(`${agents}.${session}.up`, frame(item), lines("Callweave-Sequence", `${++sequence}`));
setInterval(send, 500, { $case: "heartbeat", value: { load: 0 } });
for await (const { headers: about, data } of down) {
  if (about?.has("Callweave-Status")) throw new Error(about.get("Callweave-Reason") || "the stream ended");
  for (const { item } of ServeResponse.decode(data).items) {
    if (item?.$case === "offer") send({ $case: "accept", value: { offerId: item.value.offerId } });
    if (item?.$case === "audio") send({ $case: "audio", value: { handle: 0, pcm: item.value.pcm } });
  }
}
