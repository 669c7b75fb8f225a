/**
 * A network between agent and gateway: passes bytes on after a while, both ways, in order, without a limit of its own on
 * what is under way. Arguments: the gateway's port, the delay each way in ms.
 */
import { connect, createServer, type Socket } from "node:net";
import { answerMain } from "../ipc.js";

const [port = "0", delay = "0"] = process.argv.slice(2);
const delayMs = Number(delay);

function pass(from: Socket, to: Socket): void {
  from.setNoDelay(true);
  // Timers of the same length fire in the order they were set.
  from.on("data", (data) => setTimeout(() => to.write(data), delayMs));
  from.on("close", () => setTimeout(() => to.destroy(), delayMs));
  from.on("error", () => from.destroy());
}

const server = createServer((client) => {
  const upstream = connect(Number(port), "127.0.0.1");
  pass(client, upstream);
  pass(upstream, client);
});
server.listen(0, "127.0.0.1", () => {
  answerMain({}, { port: (server.address() as { port: number }).port });
});
