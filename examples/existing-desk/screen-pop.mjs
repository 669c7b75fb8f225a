// What a desk program adds to open the record of a call: node examples/existing-desk/screen-pop.mjs +15550101
// Two ways. By the number of the phone that rings, since that is all that a phone shows; and by the call id, as soon as
// the context of an escalation is published. `open` stands for what your desk does.
import { connect, headers } from "nats";

const { NATS_URL = "nats://127.0.0.1:4222", TENANT = "default", CALLWEAVE_KEY } = process.env;
const [myNumber] = process.argv.slice(2);
const nc = await connect({ servers: NATS_URL, maxReconnectAttempts: -1 });
const lines = headers();
if (CALLWEAVE_KEY) lines.set("Callweave-Authorization", `Bearer ${CALLWEAVE_KEY}`);
const open = (how, { callId, caller, status, summary }) =>
  console.log(JSON.stringify({ how, callId, caller, status, summary }));

/** The phone with this number rings: what is known about calls to it of the last minute? Newest first. */
async function phoneRings(number) {
  const request = JSON.stringify({ callee: number, within: "60s", pageSize: 1 });
  const options = { headers: lines, timeout: 2_000 };
  const { contexts = [] } = (
    await nc.request(`callweave.${TENANT}.rpc.FindContexts`, request, options)
  ).json();
  if (contexts[0]) open("number", contexts[0]);
}

process.stdin.on("data", () => void phoneRings(myNumber)); // stands for the event of your telephone system
const written = nc.subscribe(`callweave.${TENANT}.contexts.*`);
console.log("ready");
for await (const message of written) {
  const context = message.json();
  if (context.callee === myNumber && context.status === "CONTEXT_STATUS_ESCALATING") open("call id", context);
}
