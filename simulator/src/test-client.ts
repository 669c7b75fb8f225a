import WebSocket from "ws";
import { DEFAULT_CONNECTOR } from "./options.js";
import { CONTROL_PATH } from "./plane/server.js";

/** A frame as it came. */
export type Frame = Readonly<Record<string, unknown>>;

/** A bare client of one of the simulator's sockets, for its own tests. @internal */
export class TestClient {
  readonly frames: Frame[] = [];
  readonly audio: Buffer[] = [];
  closeCode: number | undefined;
  readonly socket: WebSocket;
  readonly #waiters = new Set<() => void>();
  #next = 1;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data, isBinary) => {
      if (isBinary) this.audio.push(data as Buffer);
      else {
        try {
          this.frames.push(JSON.parse(String(data)) as Frame);
        } catch {
          this.frames.push({ type: "malformed" });
        }
      }
      for (const waiter of this.#waiters) waiter();
    });
    socket.on("close", (code) => {
      this.closeCode = code;
      for (const waiter of this.#waiters) waiter();
    });
    socket.on("error", () => {});
  }

  /** Opens a socket; rejects with `HTTP <status>: <body>` when refused. */
  static open(url: string, headers: Readonly<Record<string, string>>): Promise<TestClient> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, { headers: { ...headers }, perMessageDeflate: false });
      const client = new TestClient(socket);
      socket.once("open", () => resolve(client));
      socket.once("error", reject);
      socket.once("unexpected-response", (_request, response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on("end", () => reject(new Error(`HTTP ${response.statusCode}: ${body}`)));
      });
    });
  }

  /** A control connection that is set up. */
  static async control(
    url: string,
    options: { apiKey?: string; uuid?: string; setup?: unknown; headers?: Record<string, string> } = {},
  ): Promise<TestClient> {
    const client = await TestClient.open(`${url}${CONTROL_PATH}`, {
      "x-api-key": options.apiKey ?? DEFAULT_CONNECTOR.apiKey,
      "x-connector-uuid": options.uuid ?? DEFAULT_CONNECTOR.uuid,
      "x-sdk-version": "1.0.0",
      ...options.headers,
    });
    client.send({ type: "setup", data: options.setup ?? { sampleRate: 8000, audioMode: "mixed" } });
    await client.waitFor("setup.done");
    return client;
  }

  /** The media connection of a `call.in`. */
  static media(callIn: Frame): Promise<TestClient> {
    return TestClient.open(String(callIn.url), { Authorization: `Bearer ${callIn.token}` });
  }

  send(frame: Frame): void {
    this.socket.send(JSON.stringify(frame));
  }

  /** Sends a control request and waits for its `response`. */
  async request(frame: Frame): Promise<Frame> {
    const reqId = `r${this.#next++}`;
    this.send({ ...frame, reqId });
    return this.waitFor("response", (response) => response.reqId === reqId);
  }

  /** Sends a media command and waits for the data of its `command_response`. */
  async command(command: string, data?: unknown, timeoutMs = 10_000): Promise<Frame> {
    const commandId = `c${this.#next++}`;
    this.send({
      type: "command",
      data: { command_id: commandId, command, timeout_ms: timeoutMs, ...(data ? { data } : {}) },
    });
    const response = await this.waitFor(
      "command_response",
      (frame) => (frame.data as Frame).command_id === commandId,
    );
    return response.data as Frame;
  }

  /** Claims a session and says that it is ready; gives the `call.in`. */
  async takeCall(sessionId: string): Promise<Frame> {
    const before = this.frames.length;
    const response = await this.request({ type: "session.open", sessionId });
    if (!response.ok) throw new Error(String(response.errorCode));
    this.send({ type: "session.ready", sessionId });
    return this.waitFor(
      "call.in",
      (frame) => frame.sessionId === sessionId && this.frames.indexOf(frame) >= before,
    );
  }

  /** Waits for a frame, past or to come; rejects after 5 s. */
  waitFor(type: string, matches: (frame: Frame) => boolean = () => true): Promise<Frame> {
    let found: Frame | undefined;
    return this.until(() => {
      found = this.frames.find((frame) => frame.type === type && matches(frame));
      return found !== undefined;
    }, type).then(() => found as Frame);
  }

  /** Waits until the connection is closed; gives its code. */
  async closed(): Promise<number> {
    await this.until(() => this.closeCode !== undefined, "close");
    return this.closeCode as number;
  }

  /** Waits for a condition on what came; rejects after 5 s. */
  until(condition: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!condition()) return;
        this.#waiters.delete(look);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(look);
        reject(new Error(`${what} did not come; there was ${JSON.stringify(this.frames.slice(-5))}`));
      }, 5000);
      this.#waiters.add(look);
      look();
    });
  }
}
