/**
 * The floor: relays the audio of N media websockets to a TCP connection each and back, and does nothing else. What this
 * costs is what sockets cost. Arguments: the websocket address, the number of calls, the TCP port of the agent.
 */
import { once } from "node:events";
import { connect } from "node:net";
import WebSocket from "ws";
import "./probe.js";

const [url = "", count = "0", agentPort = "0"] = process.argv.slice(2);
const BINARY = { binary: true };

for (let call = 0; call < Number(count); call++) {
  const ws = new WebSocket(`${url}/floor/${call}`, { perMessageDeflate: false });
  const tcp = connect(Number(agentPort), "127.0.0.1");
  tcp.setNoDelay(true);
  ws.on("message", (data) => tcp.write((data as Buffer).subarray(1)));
  tcp.on("data", (pcm) => {
    const frame = Buffer.allocUnsafe(1 + pcm.length);
    frame[0] = 0;
    pcm.copy(frame, 1);
    ws.send(frame, BINARY);
  });
  await Promise.all([once(ws, "open"), once(tcp, "connect")]);
}
process.send?.({ ready: null });
