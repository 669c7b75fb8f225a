import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Clock } from "../../util/clock.js";
import type { TelcoflowSettings } from "./options.js";
import { redactRemote } from "./redact.js";
import { parseSessionList, type SessionView } from "./validators.js";

/** A REST request that gave no usable answer. */
export class RestError extends Error {
  override readonly name = "RestError";
  constructor(
    message: string,
    /** 0 when there was no answer. */
    readonly httpStatus: number,
    /** The provider's code, if it gave one. */
    readonly code = "",
  ) {
    super(message);
  }
}

/** The REST side of the provider: same host and headers as the control connection. Rejects with RestError alone. */
export class RestClient {
  private readonly agent: HttpAgent | HttpsAgent;
  private readonly base: string;
  private listing: Promise<SessionView[]> | undefined;

  constructor(
    private readonly settings: TelcoflowSettings,
    private readonly clock: Clock,
  ) {
    this.base = settings.baseUrl.replace(/^ws/, "http");
    const Agent = this.base.startsWith("https:") ? HttpsAgent : HttpAgent;
    this.agent = new Agent({ keepAlive: true, maxSockets: 4 });
  }

  /**
   * The open sessions of the whole connector, those of other processes too, channel TELCO. Calls made while a list is
   * under way share its answer.
   */
  openSessions(): Promise<SessionView[]> {
    this.listing ??= this.fetchSessions().finally(() => {
      this.listing = undefined;
    });
    return this.listing;
  }

  /** Lets go of the connections that are idle: they show an identity of the past. */
  renew(): void {
    for (const socket of Object.values(this.agent.freeSockets).flat()) socket?.destroy();
  }

  /** Lets go of all connections. */
  close(): void {
    this.agent.destroy();
  }

  private async fetchSessions(): Promise<SessionView[]> {
    const body = await this.get("/public/v1/sessions?channel=TELCO&state=OPEN");
    let value: unknown;
    try {
      value = JSON.parse(body);
    } catch {
      throw new RestError("the list of sessions is not JSON", 200);
    }
    const sessions = parseSessionList(value);
    if (!sessions) throw new RestError("the list of sessions has no items", 200);
    return sessions.filter((session) => session.channel === "TELCO" && session.state !== "CLOSED");
  }

  private get(path: string): Promise<string> {
    const { settings, clock } = this;
    return new Promise((resolve, reject) => {
      const send = this.base.startsWith("https:") ? httpsRequest : httpRequest;
      const request = send(`${this.base}${path}`, {
        headers: { ...settings.identity.headers, accept: "application/json" },
        agent: this.agent,
        // Here and not at the agent: it then keeps connections of another identity apart.
        ...settings.identity.tls,
      });
      const fail = (error: RestError) => {
        timer.cancel();
        request.destroy();
        reject(error);
      };
      const timer = clock.after(settings.restTimeoutMs, () => fail(new RestError("no answer in time", 0)));
      request.on("error", (error: NodeJS.ErrnoException) =>
        fail(new RestError(`request failed: ${error.code ?? "ERROR"}`, 0)),
      );
      request.on("response", (response: IncomingMessage) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > settings.restMaxBytes) fail(new RestError("the answer is too long", 0));
          else chunks.push(chunk);
        });
        response.on("error", () => fail(new RestError("the answer was cut off", 0)));
        response.on("aborted", () => fail(new RestError("the answer was cut off", 0)));
        response.on("end", () => {
          timer.cancel();
          const body = Buffer.concat(chunks).toString();
          const status = response.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve(body);
          else reject(refusal(status, body, settings.identity.secrets));
        });
      });
      request.end();
    });
  }
}

function refusal(status: number, body: string, secrets: readonly string[]): RestError {
  let code = "";
  let text = body;
  try {
    const value = JSON.parse(body) as { code?: unknown; message?: unknown } | null;
    if (typeof value?.code === "string") code = redactRemote(value.code, secrets);
    if (typeof value?.message === "string") text = value.message;
  } catch {
    // Not the documented form; the text is shown as it is.
  }
  return new RestError(`HTTP ${status}${code && ` ${code}`}: ${redactRemote(text, secrets)}`, status, code);
}
