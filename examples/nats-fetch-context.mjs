// Prints the record of a call: node examples/nats-fetch-context.mjs CALL_ID. NATS_URL, TENANT, CALLWEAVE_KEY as needed.
import { connect, headers } from "nats";

const { NATS_URL = "nats://127.0.0.1:4222", TENANT = "default", CALLWEAVE_KEY } = process.env;
const nc = await connect({ servers: NATS_URL });
const lines = headers();
if (CALLWEAVE_KEY) lines.set("Callweave-Authorization", `Bearer ${CALLWEAVE_KEY}`);

const request = JSON.stringify({ callId: process.argv[2] });
const answer = await nc.request(`callweave.${TENANT}.rpc.GetContext`, request, {
  headers: lines,
  timeout: 5_000,
});
await nc.close();

const { context, reason, message } = answer.json();
if (!context) {
  console.error(`${reason}: ${message}`);
  process.exit(1);
}
console.log(`${context.caller ?? "withheld"}: ${context.summary ?? "no summary yet"}`);
for (const { role, text } of context.turns ?? []) console.log(`${role.replace("TURN_ROLE_", "")}: ${text}`);
