import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";

/** The metadata key of the trailer that carries a google.rpc.Status. */
export const STATUS_DETAILS_KEY = "grpc-status-details-bin";
/** The domain of all reasons of this project. */
export const ERROR_DOMAIN = "callweave";

const ERROR_INFO_URL = "type.googleapis.com/google.rpc.ErrorInfo";

/** A google.rpc.ErrorInfo. */
export interface ErrorInfo {
  /** A name of ErrorReason without its prefix: "CALL_STATE". */
  readonly reason: string;
  /** "callweave" for all reasons of this project. */
  readonly domain: string;
  /** The variable parts of the message. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** A google.rpc.Status with at most one ErrorInfo. */
export interface StatusDetails {
  /** The gRPC status code. */
  readonly code: number;
  readonly message: string;
  /** Undefined when the status carries none. */
  readonly errorInfo?: ErrorInfo;
}

/** The bytes of a google.rpc.Status with its ErrorInfo, for the trailer STATUS_DETAILS_KEY. */
export function encodeStatusDetails(status: StatusDetails): Buffer {
  const writer = new BinaryWriter();
  if (status.code !== 0) writer.uint32(8).int32(status.code);
  if (status.message !== "") writer.uint32(18).string(status.message);
  if (status.errorInfo) {
    writer.uint32(26).fork();
    writer.uint32(10).string(ERROR_INFO_URL);
    writer.uint32(18).fork();
    writeErrorInfo(status.errorInfo, writer);
    writer.join().join();
  }
  const bytes = writer.finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Reads a google.rpc.Status; details of other types are passed over, of several ErrorInfos the one of this project's
 * domain is taken, else the first. Throws when the bytes are not a message.
 */
export function decodeStatusDetails(bytes: Uint8Array): StatusDetails {
  const reader = new BinaryReader(bytes);
  let code = 0;
  let message = "";
  let errorInfo: ErrorInfo | undefined;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 8) code = reader.int32();
    else if (tag === 18) message = reader.string();
    else if (tag === 26) {
      const info = readAny(reader.bytes());
      if (info && (!errorInfo || (info.domain === ERROR_DOMAIN && errorInfo.domain !== ERROR_DOMAIN))) {
        errorInfo = info;
      }
    } else reader.skip(tag & 7, tag >>> 3);
  }
  return errorInfo ? { code, message, errorInfo } : { code, message };
}

function writeErrorInfo(info: ErrorInfo, writer: BinaryWriter): void {
  if (info.reason !== "") writer.uint32(10).string(info.reason);
  if (info.domain !== "") writer.uint32(18).string(info.domain);
  for (const [key, value] of Object.entries(info.metadata)) {
    writer.uint32(26).fork().uint32(10).string(key).uint32(18).string(value).join();
  }
}

function readAny(bytes: Uint8Array): ErrorInfo | undefined {
  const reader = new BinaryReader(bytes);
  let url = "";
  let value: Uint8Array = new Uint8Array(0);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 10) url = reader.string();
    else if (tag === 18) value = reader.bytes();
    else reader.skip(tag & 7, tag >>> 3);
  }
  // Only the part after the last slash names the type.
  return url.slice(url.lastIndexOf("/") + 1) === "google.rpc.ErrorInfo" ? readErrorInfo(value) : undefined;
}

function readErrorInfo(bytes: Uint8Array): ErrorInfo {
  const reader = new BinaryReader(bytes);
  let reason = "";
  let domain = "";
  const metadata: [string, string][] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 10) reason = reader.string();
    else if (tag === 18) domain = reader.string();
    else if (tag === 26) metadata.push(readEntry(reader.bytes()));
    else reader.skip(tag & 7, tag >>> 3);
  }
  return { reason, domain, metadata: Object.fromEntries(metadata) };
}

function readEntry(bytes: Uint8Array): [string, string] {
  const reader = new BinaryReader(bytes);
  let key = "";
  let value = "";
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 10) key = reader.string();
    else if (tag === 18) value = reader.string();
    else reader.skip(tag & 7, tag >>> 3);
  }
  return [key, value];
}
