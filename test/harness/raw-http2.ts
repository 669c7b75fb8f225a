import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";

/** How one RPC of a raw peer ended. */
export interface RawAnswer {
  /** grpc-status; undefined when the stream was reset or the connection cut. */
  readonly status: number | undefined;
  readonly message: string;
}

/** A session of HTTP/2 that may break the rules of gRPC. */
export async function rawSession(port: number): Promise<ClientHttp2Session> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  await once(session, "connect");
  return session;
}

/** One gRPC message as it stands on the wire; `announced` may lie about its length. */
export function framed(body: Buffer, { compressed = false, announced = body.length } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(compressed ? 1 : 0, 0);
  prefix.writeUInt32BE(announced, 1);
  return Buffer.concat([prefix, body]);
}

/** Sends `data` on a new stream of the session; resolves when the stream is closed. */
export async function rawCall(
  session: ClientHttp2Session,
  path: string,
  data: Buffer,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  let status: number | undefined;
  let message = "";
  const read = (got: Record<string, unknown>) => {
    if (got["grpc-status"] === undefined) return;
    status = Number(got["grpc-status"]);
    message = decodeURIComponent(String(got["grpc-message"] ?? ""));
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.on("error", () => {});
  stream.resume();
  stream.end(data);
  if (!stream.closed) await once(stream, "close");
  return { status, message };
}

/** One frame of HTTP/2. */
export function http2Frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** A connection that has said the preface of HTTP/2 and its settings, and nothing else. */
export async function rawPeer(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  await once(socket, "connect");
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  socket.write(http2Frame(4, 0, 0, Buffer.alloc(0)));
  return socket;
}

/** Writes the same bytes again and again, a piece at a time so that others have their turn, until all is sent or the peer closes. */
export async function flood(socket: Socket, piece: Buffer, times: number): Promise<number> {
  for (let sent = 0; sent < times; sent++) {
    if (socket.destroyed || !socket.writable) return sent;
    if (!socket.write(piece)) {
      await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => {});
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return times;
}
