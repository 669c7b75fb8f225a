// A web server of yours that opens the record of a call: WEBHOOK_SECRET=… node examples/existing-desk/webhook-receiver.mjs 8080
// The gateway repeats what it got no answer to, so each delivery is written down before it is answered, and looked up:
// after a crash, or with one delivery coming twice, a record opens once. `open` stands for what your desk does.
import { createHmac, timingSafeEqual } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";

const { WEBHOOK_SECRET, SEEN_FILE = "webhook-deliveries.txt" } = process.env;
if (!WEBHOOK_SECRET) throw new Error("WEBHOOK_SECRET is not set");
const seen = new Set(existsSync(SEEN_FILE) ? readFileSync(SEEN_FILE, "utf8").split("\n") : []);
const open = ({ callId, caller, summary }) => console.log(JSON.stringify({ callId, caller, summary }));

/** Signed with our secret, at most five minutes ago? Over the bytes as they came. */
function isGenuine(header, body) {
  const parts = String(header)
    .split(",")
    .map((part) => part.split("="));
  const time = parts.find(([name]) => name === "t")?.[1];
  if (!(Math.abs(Date.now() / 1000 - Number(time)) <= 300)) return false;
  const wanted = createHmac("sha256", WEBHOOK_SECRET).update(`${time}.`).update(body).digest();
  const given = parts.filter(([name]) => name === "v1").map(([, hex]) => Buffer.from(hex ?? "", "hex"));
  return given.some((one) => one.length === wanted.length && timingSafeEqual(one, wanted));
}

const server = createServer(async (request, response) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const body = Buffer.concat(pieces);
  if (!isGenuine(request.headers["callweave-signature"], body)) return response.writeHead(401).end();
  const { id, context } = JSON.parse(body);
  // One record per call, however often its context is written; a context that comes late still says why.
  const pops = context?.escalationReason && !seen.has(context.callId);
  const done = [id, ...(pops ? [context.callId] : [])];
  if (!seen.has(id) && pops) open(context);
  if (!seen.has(id)) appendFileSync(SEEN_FILE, `${done.join("\n")}\n`);
  for (const one of done) seen.add(one);
  response.writeHead(204).end();
});
server.listen(Number(process.argv[2] ?? 8080), "127.0.0.1", () => console.log("ready"));
