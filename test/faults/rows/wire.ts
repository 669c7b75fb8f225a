import { type FaultRow, faults, inFile, integration, unit } from "../fault-row.js";

/** Hostile peers on the ports. */
export const WIRE_FAULTS: readonly FaultRow[] = [
  {
    number: 26,
    fault: "An oversize gRPC message",
    promise: "RESOURCE_EXHAUSTED on that RPC (1 MiB; 256 KiB on Serve); its connection lives.",
    injected: "messages over the limits on one connection with good streams; a length that is only announced",
    tests: [
      ...integration("grpc-serve", "ends only the stream that sent malformed bytes or too much"),
      ...faults("hostile-grpc", "messages too large, announced too large, or no protobuf: that RPC alone"),
    ],
    limit: "None known.",
  },
  {
    number: 27,
    fault: "A decompression bomb",
    promise: "The limit holds for what comes out of gzip; other encodings are refused.",
    injected: "a gzip of 100 MiB of zeros, 100 KiB on the wire, on unary and on Serve",
    tests: [
      ...faults("hostile-grpc", "a gzip of zeros: refused, and the memory stays"),
      ...integration("grpc-streams", "takes gzip and refuses other encodings"),
    ],
    limit: "The sockets of provider and browser take no compression at all.",
  },
  {
    number: 28,
    fault: "Oversize WebSocket frames, a million tiny fragments",
    promise:
      "1009, or the cut of that connection, within bounds of bytes and pieces; other connections and calls go on.",
    injected: "raw frames from the provider on both sockets and from a browser",
    tests: [
      ...faults("hostile-desk", "tiny fragments without end, and a frame that announces gigabytes"),
      ...inFile(
        "test/desk/wire.test.ts",
        "closes on frames that are too large, malformed, not binary or against the rules",
      ),
      ...integration(
        "telcoflow-bad-input",
        "%s ends that connection, which is opened again; no other",
        "an oversize frame ends the connection, which comes back; calls go on",
      ),
      ...unit("telephony/telcoflow/control-connection", "is closed by a message in too many pieces"),
    ],
    limit: "None known.",
  },
  {
    number: 30,
    fault: "Malformed protobuf",
    promise: "INVALID_ARGUMENT for that RPC or frame, counted; the process and other streams go on.",
    injected: "bytes that are no message, on gRPC, NATS and the browser's socket",
    tests: [
      ...integration("grpc-serve", "ends only the stream that sent malformed bytes or too much"),
      ...faults("hostile-grpc", "messages too large, announced too large, or no protobuf: that RPC alone"),
      ...integration("nats-agents", "end by garbage, a repeat or too much, and only those"),
      ...integration("nats-services", "answers bad input with INVALID_FIELD and lives on"),
    ],
    limit: "None known.",
  },
  {
    number: 45,
    fault: "Floods on HTTP/2: rapid reset, pings, settings, headers without end",
    promise:
      "Streams at a time are bounded; the flood ends its own connection or goes on being answered; memory is bounded and no call notices.",
    injected:
      "a raw HTTP/2 peer: thousands of streams opened and reset, 50,000 pings, settings and priorities, CONTINUATION frames without end",
    tests: faults(
      "hostile-grpc",
      "streams opened and reset at once, by the thousand",
      "pings, settings and headers without end",
    ),
    limit:
      "There is no limit of pings for each peer (grpc-js has none): an exposed gateway belongs behind a proxy that has one. What a flood costs in CPU is not bounded.",
  },
  {
    number: 46,
    fault: "Thousands of idle connections",
    promise:
      "A limit for each port, further ones closed at once; those that answer no ping are dropped. Calls go on.",
    injected: "connections up to and beyond the limits of gRPC, desk and operations",
    tests: [
      ...faults("hostile-grpc", "connections that say nothing, up to the limit and beyond"),
      ...faults("hostile-desk", "connections beyond the limit are closed"),
      ...integration(
        "grpc-streams",
        "closes connections above the limit",
        "drops a connection that says nothing or answers no ping",
      ),
      ...inFile(
        "test/desk/wire.test.ts",
        "refuses one stream more than a connection may have, and one connection more",
      ),
    ],
    limit:
      "The limit is one for all peers: one address can use it up. Limits for each address are a proxy's work; the limit of open files is not looked at.",
  },
  {
    number: 47,
    fault: "Peers that take for ever: slow headers, no first message",
    promise:
      "Deadlines for the first item of a stream (5 s), for headers and requests of HTTP (10 s), for a connection that answers no ping (10 s and 5 s), for the sign-in at the provider.",
    injected: "raw sockets that send a byte now and then",
    tests: [
      ...faults("hostile-desk", "headers that never end, on the desk and on the port of operations"),
      ...faults("hostile-grpc", "connections that say nothing, up to the limit and beyond"),
      ...integration("grpc-serve", "does not wait for ever for the first item"),
      ...unit("telephony/telcoflow/control-connection", "gives up a handshake that goes on for ever"),
      ...integration("telcoflow-adapter", "starts over when setup.done does not come"),
    ],
    limit: "A TLS handshake may take 2 minutes (the default of Node).",
  },
];
