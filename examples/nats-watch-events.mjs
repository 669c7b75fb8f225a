// Prints what happens to all calls, one line each. NATS_URL names the server, TENANT whose calls.
import { connect } from "nats";

const { NATS_URL = "nats://127.0.0.1:4222", TENANT = "default" } = process.env;
const nc = await connect({ servers: NATS_URL, maxReconnectAttempts: -1, waitOnFirstConnect: true });

const events = nc.subscribe(`callweave.${TENANT}.calls.*.events`);
await nc.flush();
console.log("watching");
for await (const message of events) {
  const { callId, time, sequence, durable, cursor, position, pool, ownerEpoch, ...what } = message.json();
  const [type] = Object.keys(what);
  console.log(`${time} ${callId} ${sequence} ${type} ${JSON.stringify(what[type])}`);
}
