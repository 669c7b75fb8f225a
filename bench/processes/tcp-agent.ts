/** The agent behind the floor: echoes each call's audio on its TCP connection, stamped. */
import { createServer } from "node:net";
import { machineMs } from "../clock.js";
import { FrameCutter, stampAgent } from "../frame.js";
import { answerMain } from "../ipc.js";

const server = createServer((socket) => {
  socket.setNoDelay(true);
  const cutter = new FrameCutter();
  socket.on("data", (data) => {
    const inMs = machineMs();
    cutter.push(data, (buffer, at) => {
      stampAgent(buffer, at, inMs, machineMs());
      socket.write(buffer.subarray(at, at + 960));
    });
  });
  socket.on("error", () => socket.destroy());
});
server.listen(0, "127.0.0.1", () => {
  answerMain({}, { port: (server.address() as { port: number }).port });
});
