/**
 * A network between agent and gateway: passes bytes on after a while, both ways, in order, without a limit of its own on
 * what is under way, and counts them. Arguments: the gateway's port, the delay each way in ms (0: at once).
 */
import { connect, createServer, type Socket } from "node:net";
import { answerMain } from "../ipc.js";

const [port = "0", delay = "0"] = process.argv.slice(2);
const delayMs = Number(delay);

const bytes = { up: 0, down: 0 };

function pass(from: Socket, to: Socket, way: "up" | "down"): void {
  from.setNoDelay(true);
  from.on("data", (data) => {
    bytes[way] += data.length;
    // Timers of the same length fire in the order they were set.
    if (delayMs > 0) setTimeout(() => to.write(data), delayMs);
    else to.write(data);
  });
  from.on("close", () => setTimeout(() => to.destroy(), delayMs));
  from.on("error", () => from.destroy());
}

const server = createServer((client) => {
  const upstream = connect(Number(port), "127.0.0.1");
  pass(client, upstream, "up");
  pass(upstream, client, "down");
});
server.listen(0, "127.0.0.1", () => {
  answerMain({ bytes: () => bytes }, { port: (server.address() as { port: number }).port });
});
