import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A browser's socket that writes frames by hand. */
export interface RawWebSocket {
  readonly socket: Socket;
  /** Close code that the server sent; undefined when it was cut without. */
  readonly closed: Promise<number | undefined>;
}

/** Opens a WebSocket by hand on a local port. */
export async function rawWebSocket(
  port: number,
  path: string,
  protocols: readonly string[],
): Promise<RawWebSocket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(
    [
      `GET ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      `Origin: http://127.0.0.1:${port}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
      `Sec-WebSocket-Protocol: ${protocols.join(", ")}`,
      "\r\n",
    ].join("\r\n"),
  );
  const [answer] = (await once(socket, "data")) as [Buffer];
  if (!answer.toString("latin1").startsWith("HTTP/1.1 101")) throw new Error(answer.toString("latin1"));
  let code: number | undefined;
  socket.on("data", (data: Buffer) => {
    // A close frame of the server stands alone: 0x88, length, code.
    if (data[0] === 0x88 && data.length >= 4) code = data.readUInt16BE(2);
  });
  return { socket, closed: once(socket, "close").then(() => code) };
}

/** The head of a masked frame with a mask of zeros; `length` may announce more than ever comes. */
export function frameHead(opcode: number, fin: boolean, length: number): Buffer {
  const first = (fin ? 0x80 : 0) | opcode;
  const mask = Buffer.alloc(4);
  if (length < 126) return Buffer.concat([Buffer.from([first, 0x80 | length]), mask]);
  const long = Buffer.alloc(10);
  long.writeUInt8(first, 0);
  long.writeUInt8(0x80 | 127, 1);
  long.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([long, mask]);
}
