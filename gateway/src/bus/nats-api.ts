import { BusError } from "./bus.js";
import type { BusCore } from "./bus-core.js";

/** What the server answers when it refuses. */
interface ApiError {
  readonly code?: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** Numbers of refusals that are told apart. */
export const API = {
  streamNotFound: 10_059,
  streamNameInUse: 10_058,
  noMessage: 10_037,
  consumerNotFound: 10_014,
} as const;

/** Codes of a wrong expected sequence. */
const CONFLICT = new Set([10_071, 10_164]);
/** Codes of a server, account or stream that has no room. */
const FULL = new Set([10_023, 10_028, 10_047, 10_002]);
const GONE = new Set<number>([API.streamNotFound, API.consumerNotFound]);

/** A refusal of the server, with its number. */
export class ApiRefusal extends BusError {
  constructor(
    kind: BusError["kind"],
    message: string,
    readonly code: number,
  ) {
    super(kind, message);
  }
}

/** The error of an answer, if it is one. */
export function toRefusal(error: ApiError): ApiRefusal {
  const { code = 0, err_code = 0, description = "refused" } = error;
  const full = FULL.has(err_code) || /maximum (bytes|messages)/.test(description);
  const kind = CONFLICT.has(err_code)
    ? "conflict"
    : full
      ? "full"
      : GONE.has(err_code)
        ? "gone"
        : code === 503
          ? "no_responders"
          : "refused";
  return new ApiRefusal(kind, description, err_code);
}

/** The JSON of an answer of the server; throws the refusal that it is. */
export function parseAnswer<T>(data: Uint8Array): T {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(data).toString("utf8"));
  } catch (cause) {
    throw new BusError("refused", "the server's answer is not JSON", { cause });
  }
  if (typeof value !== "object" || value === null)
    throw new BusError("refused", "the server's answer is not an object");
  if ("error" in value && value.error) throw toRefusal(value.error as ApiError);
  return value as T;
}

/** A request to the API of JetStream. Rejects with BusError. */
export async function askApi<T>(core: BusCore, verb: string, body: object): Promise<T> {
  const answer = await core
    .request(`$JS.API.${verb}`, Buffer.from(JSON.stringify(body)), { timeoutMs: core.requestTimeoutMs })
    .catch((error: unknown) => {
      if (!(error instanceof BusError) || error.kind !== "no_responders") throw error;
      throw new BusError(
        "no_responders",
        "JetStream does not answer: it is not enabled for this account, or not ready",
      );
    });
  return parseAnswer<T>(answer.data);
}

/** Whether trying again later may help. */
export function isPassing(error: unknown): boolean {
  return (
    error instanceof BusError &&
    (error.kind === "away" || error.kind === "timeout" || error.kind === "no_responders")
  );
}

/** Calls `fn` until it does not fail for a passing reason. Rejects with BusError away once the bus is closed. */
export async function persist<T>(core: BusCore, fn: () => Promise<T>): Promise<T> {
  for (let waitMs = 100; ; waitMs = Math.min(2000, waitMs * 2)) {
    await core.whenConnected();
    try {
      return await fn();
    } catch (error) {
      if (!isPassing(error) || core.closed) throw error;
      core.report(error);
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}
