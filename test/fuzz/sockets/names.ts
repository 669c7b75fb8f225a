/** The wires that are fuzzed over real sockets, beside a call that must not notice. */
export const SOCKETS = [
  { name: "socket-control", area: "sockets", what: "the provider's control connection, over its socket" },
  { name: "socket-media", area: "sockets", what: "the media connection of a call, over its socket" },
  {
    name: "socket-grpc",
    area: "sockets",
    what: "raw HTTP/2: bytes in frames, lies, resets, floods, slow headers",
  },
  { name: "socket-browser", area: "sockets", what: "the desk's port: WebSocket frames and raw HTTP" },
  { name: "socket-nats", area: "sockets", what: "requests and frames of agents over a nats-server" },
] as const;

/** The name of one of them. */
export type SocketName = (typeof SOCKETS)[number]["name"];
