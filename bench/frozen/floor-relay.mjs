/**
 * The floor, frozen (docs/adr/0014): relays the audio of N media WebSockets to a TCP connection each and back, and does
 * nothing else. What this costs is what sockets cost. Arguments: the WebSocket address, the number of calls, the TCP port of
 * the agent. Ends with its standard input.
 */
import { once } from "node:events";
import { createRequire } from "node:module";
import { connect } from "node:net";
import WebSocket from "ws";

// Without it `ws` masks in JavaScript, and the floor would be higher than it is.
if (process.env.WS_NO_BUFFER_UTIL)
  throw new Error("WS_NO_BUFFER_UTIL is set: the floor runs with bufferutil");
createRequire(import.meta.url)("bufferutil");

const [url = "", count = "0", agentPort = "0"] = process.argv.slice(2);
const BINARY = { binary: true };

for (let call = 0; call < Number(count); call++) {
  const ws = new WebSocket(`${url}/floor/${call}`, { perMessageDeflate: false });
  const tcp = connect(Number(agentPort), "127.0.0.1");
  tcp.setNoDelay(true);
  ws.on("message", (data) => tcp.write(data.subarray(1)));
  tcp.on("data", (pcm) => {
    const frame = Buffer.allocUnsafe(1 + pcm.length);
    frame[0] = 0;
    pcm.copy(frame, 1);
    ws.send(frame, BINARY);
  });
  await Promise.all([once(ws, "open"), once(tcp, "connect")]);
}
process.stdin.resume().on("end", () => process.exit(0));
console.log(JSON.stringify({ ready: null }));
