import {
  decodeMessage,
  encodeMessage,
  type MessageCodec,
  type Error as PbError,
  Error as PbErrorCodec,
} from "@callweave/proto";
import type { BusHeaders, BusMessage } from "../bus/bus.js";
import { type CallError, invalidField } from "../call/call-error.js";
import { toPbError } from "../contract/convert.js";
import { type ProtoJson, protoJson } from "../contract/proto-json.js";

/** How a message is written. */
export type Encoding = "json" | "protobuf";

/** Names of headers. Senders may write them in any case. */
export const HEADERS = {
  contentType: "Content-Type",
  authorization: "Callweave-Authorization",
  timeout: "Callweave-Timeout-Ms",
  sequence: "Callweave-Sequence",
  status: "Callweave-Status",
  reason: "Callweave-Reason",
  gateway: "Callweave-Gateway",
  error: "Nats-Service-Error",
  errorCode: "Nats-Service-Error-Code",
} as const;

const CONTENT_TYPES: Readonly<Record<Encoding, string>> = {
  json: "application/json",
  protobuf: "application/protobuf",
};

/** The headers that name an encoding. */
export function contentHeaders(encoding: Encoding): Record<string, string> {
  return { [HEADERS.contentType]: CONTENT_TYPES[encoding] };
}

/** A header whatever the case of its name; undefined when it is not there. */
export function header(headers: BusHeaders, name: string): string | undefined {
  const direct = headers[name];
  if (direct !== undefined) return direct;
  const wanted = name.toLowerCase();
  for (const [key, value] of Object.entries(headers)) if (key.toLowerCase() === wanted) return value;
  return undefined;
}

/** The encoding of a message; JSON when it says nothing. Throws INVALID_FIELD for anything else. */
export function encodingOf(headers: BusHeaders): Encoding {
  const text = header(headers, HEADERS.contentType);
  if (text === undefined) return "json";
  const type = text.split(";")[0]?.trim().toLowerCase() ?? "";
  if (type === "" || type === "application/json") return "json";
  if (type === "application/protobuf" || type === "application/x-protobuf") return "protobuf";
  throw invalidField(HEADERS.contentType, "application/json or application/protobuf", text);
}

/** A message of the contract in both encodings. */
export class Message<T> {
  private readonly json: ProtoJson<T>;

  /** `name` is its name in the contract. */
  constructor(
    readonly name: string,
    private readonly codec: MessageCodec<T>,
  ) {
    this.json = protoJson(name, codec);
  }

  encode(encoding: Encoding, message: T): Buffer {
    return encoding === "json" ? this.json.encode(message) : encodeMessage(this.codec, message);
  }

  /** An empty body is the empty message. Throws INVALID_FIELD. */
  decode(encoding: Encoding, bytes: Uint8Array, maxBytes: number): T {
    if (bytes.length > maxBytes) throw invalidField("message", `at most ${maxBytes} bytes`, bytes.length);
    try {
      if (encoding === "protobuf" || bytes.length === 0) return decodeMessage(this.codec, bytes);
      return this.json.decode(bytes);
    } catch (error) {
      if (encoding === "protobuf")
        throw invalidField("message", "a well-formed protobuf message of the contract");
      // What it says is of the sender's own text; cut, since it may quote it.
      const detail = String((error as Error).message ?? error).slice(0, 200);
      throw invalidField("message", "the protobuf JSON of this request", detail);
    }
  }
}

/** Errors as bodies. */
export const ERROR_MESSAGE = new Message<PbError>("Error", PbErrorCodec);

/** The headers of a refusal: what any NATS tool shows. */
export function errorHeaders(error: PbError, encoding: Encoding): Record<string, string> {
  return {
    ...contentHeaders(encoding),
    [HEADERS.error]: oneLine(error.message),
    [HEADERS.errorCode]: String(error.code),
  };
}

/** Answers with an error: headers by ADR-32, the body is a callweave.v1.Error in the encoding of the request. */
export function respondError(message: BusMessage, error: PbError, encoding: Encoding): void {
  message.respond(ERROR_MESSAGE.encode(encoding, error), errorHeaders(error, encoding));
}

/** An error that went through `publicError`, as body. */
export function errorBody(error: CallError): PbError {
  const pb = toPbError(error);
  const metadata = Object.entries(pb.metadata).slice(0, 16);
  return {
    ...pb,
    message: pb.message.slice(0, 500),
    metadata: Object.fromEntries(metadata.map(([key, value]) => [key, value.slice(0, 300)])),
  };
}

/** Header values are one line of printable ASCII. */
export function oneLine(text: string): string {
  return text
    .replace(/\s+/g, " ")
    .replace(/[^\x20-\x7e]/g, "?")
    .slice(0, 500);
}
