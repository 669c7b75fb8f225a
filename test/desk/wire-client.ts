import {
  type BrowserEnd,
  BrowserRequest,
  BrowserResponse,
  encodeMessage,
  type MessageCodec,
} from "@callweave/proto";
import { WebSocket } from "ws";

/** What a stream of the browser wire gave: its messages, then its end. */
export interface WireStream {
  readonly messages: Uint8Array[];
  /** Resolves with the end. */
  readonly end: Promise<BrowserEnd>;
  send(item: NonNullable<BrowserRequest["item"]>): void;
}

/** A browser's side of the wire, in Node: it may also break the rules. */
export class WireClient {
  readonly closed: Promise<{ code: number; reason: string }>;
  private readonly streams = new Map<number, { messages: Uint8Array[]; end: (end: BrowserEnd) => void }>();
  private newest = 0;

  constructor(readonly socket: WebSocket) {
    socket.binaryType = "nodebuffer";
    socket.on("error", () => {});
    this.closed = new Promise((resolve) =>
      socket.once("close", (code, reason) => resolve({ code, reason: String(reason) })),
    );
    socket.on("message", (data: Buffer) => {
      const { stream, item } = BrowserResponse.decode(data);
      const known = this.streams.get(stream);
      if (item?.$case === "message") known?.messages.push(item.value);
      else if (item?.$case === "end") known?.end(item.value);
    });
  }

  /** Opens a stream. */
  open(method: string, request: Uint8Array = new Uint8Array(), id = ++this.newest): WireStream {
    const messages: Uint8Array[] = [];
    const end = new Promise<BrowserEnd>((resolve) => this.streams.set(id, { messages, end: resolve }));
    const send = (item: NonNullable<BrowserRequest["item"]>) => this.send({ stream: id, item });
    send({ $case: "open", value: { method, request } });
    return { messages, end, send };
  }

  /** One request, one answer; rejects with the reason of its error. */
  async call<Q, S>(method: string, q: MessageCodec<Q>, s: MessageCodec<S>, request: Q): Promise<S> {
    const { messages, end } = this.open(method, encodeMessage(q, request));
    const { error } = await end;
    if (error)
      throw Object.assign(new Error(error.message), { reason: error.reason, metadata: error.metadata });
    return s.decode(messages[0] ?? new Uint8Array());
  }

  send(request: BrowserRequest): void {
    this.socket.send(encodeMessage(BrowserRequest, request));
  }

  close(): void {
    this.socket.terminate();
  }
}

/** How a page behaves when it signs in. */
export interface PageOptions {
  readonly origin?: string;
  readonly host?: string;
  readonly key?: string;
}

/** POST as a page sends it. */
export async function post(
  port: number,
  path: string,
  options: PageOptions & { body?: string; type?: string } = {},
) {
  const { origin = `http://127.0.0.1:${port}`, key, body = "{}", type = "application/json" } = options;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    headers: {
      "content-type": type,
      ...(origin === "" ? {} : { origin }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    },
    body,
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: JSON.parse(text) };
}

/** A ticket. */
export async function ticketOf(port: number, options: PageOptions = {}): Promise<string> {
  const { status, body, text } = await post(port, "/api/ticket", options);
  if (status !== 200) throw new Error(`${status} ${text}`);
  return body.ticket as string;
}

/** Opens the WebSocket; rejects with the HTTP status when it is refused. */
export function openSocket(
  port: number,
  protocols: readonly string[],
  options: PageOptions & { path?: string } = {},
): Promise<WireClient> {
  const { origin = `http://127.0.0.1:${port}`, host, path = "/api/socket" } = options;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, [...protocols], {
      ...(origin === "" ? {} : { origin }),
      ...(host === undefined ? {} : { headers: { host } }),
    });
    const client = new WireClient(socket);
    socket.once("open", () => resolve(client));
    socket.once("unexpected-response", (_request, response) => {
      response.resume();
      reject(new Error(String(response.statusCode)));
    });
    socket.once("error", reject);
  });
}

/** A page that is let in. */
export async function visit(port: number, options: PageOptions = {}): Promise<WireClient> {
  return openSocket(port, ["callweave.v1", `ticket.${await ticketOf(port, options)}`], options);
}
