// Reads everything of Callweave on NATS; says when the first message came. To be frozen. Environment: TEST_NATS_URL
import { connect } from "nats";

const nc = await connect({ servers: process.env.TEST_NATS_URL ?? "" });
let told = false;
for await (const message of nc.subscribe("callweave.>")) {
  if (!told) process.stdout.write(`${JSON.stringify({ type: "message", subject: message.subject })}\n`);
  told = true;
}
