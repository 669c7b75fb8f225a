import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { Server, ServerCredentials } from "@grpc/grpc-js";

/** The parts of grpc-js's server that have no public way in (1.14). */
interface ServerInternals {
  commonServerOptions: { settings?: object };
  createHttp2Server(credentials: ServerCredentials): Http2Server;
}

/**
 * Lets a client have this many bytes under way to the server, in each stream and on each connection, instead of HTTP/2's
 * 65,535. grpc-js reads an option for that at its client only. 64 KiB are 1.4 s of audio of one call at 24 kHz, shared by
 * all calls of a connection: at 100 ms of round trip 13 calls. Before the server makes a connection injector or binds.
 * Answers whether it could: another version of grpc-js may have changed inside.
 */
export function widenReceiveWindow(server: Server, bytes: number): boolean {
  const internals = server as unknown as ServerInternals;
  if (!internals.commonServerOptions || typeof internals.createHttp2Server !== "function") {
    return false;
  }
  const options = internals.commonServerOptions;
  options.settings = { ...options.settings, initialWindowSize: bytes };
  const create = internals.createHttp2Server.bind(server);
  internals.createHttp2Server = (credentials) => {
    const made = create(credentials);
    made.on("session", (session: ServerHttp2Session) => session.setLocalWindowSize(bytes));
    return made;
  };
  return true;
}
