import { fileURLToPath } from "node:url";
import {
  create,
  createFileRegistry,
  type DescField,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_duration,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
} from "@bufbuild/protobuf/wkt";

import { encodeMessage, type MessageCodec } from "@callweave/proto";
import { loadSync } from "@grpc/proto-loader";

// Protobuf JSON as every other implementation writes and reads it ("30s", "CALL_STATE_ANSWERED", 64-bit numbers as
// text): by the .proto files themselves, since the generated toJSON and fromJSON have forms of their own and take
// nearly anything.

const PACKAGE = "callweave.v1";
const FILES = ["agent_service", "audit_service", "call_service", "context_service", "fleet_service", "nats"];
const GOOGLE = [
  file_google_protobuf_duration,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
];

/** Bytes of JSON for one message of the contract, both ways. */
export interface ProtoJson<T> {
  /** As compact JSON. Throws for a value outside the range of its field. */
  encode(message: T): Buffer;
  /** Unknown fields are ignored. Throws Error, with the field and the rule, for anything else that is no such message. */
  decode(bytes: Uint8Array): T;
}

/** The JSON form of a message; `name` is its name in the contract, e.g. "CallEvent". Throws when there is none. */
export function protoJson<T>(name: string, codec: MessageCodec<T>): ProtoJson<T> {
  let schema: DescMessage | undefined;
  const describe = () => {
    schema ??= registry().getMessage(`${PACKAGE}.${name}`);
    if (!schema) throw new Error(`the contract has no message ${name}`);
    return schema;
  };
  return {
    encode(message) {
      const known = describe();
      const json = toJson(known, fromBinary(known, encodeMessage(codec, message)), { registry: registry() });
      return Buffer.from(JSON.stringify(json));
    },
    decode(bytes) {
      const known = describe();
      const json = parse(bytes);
      const binary = toBinary(known, fromJson(known, withoutUnknown(known, json), { registry: registry() }));
      return codec.decode(binary);
    },
  };
}

function parse(bytes: Uint8Array): JsonValue {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  const json: unknown = JSON.parse(text);
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw new Error("not a JSON object");
  return json as JsonValue;
}

/** Only what the contract knows: a newer client's fields are left out, a wrong value of a known field stays an error. */
function withoutUnknown(schema: DescMessage, json: JsonValue): JsonValue {
  if (schema.typeName.startsWith("google.protobuf.")) return json;
  if (typeof json !== "object" || json === null || Array.isArray(json)) return json;
  const known: Record<string, JsonValue> = {};
  for (const field of schema.fields) {
    for (const name of new Set([field.jsonName, field.name])) {
      if (!Object.hasOwn(json, name)) continue;
      known[name] = ofField(field, json[name] as JsonValue);
    }
  }
  return known;
}

function ofField(field: DescField, value: JsonValue): JsonValue {
  const { message } = field;
  if (!message || typeof value !== "object" || value === null) return value;
  if (field.fieldKind === "list") {
    return Array.isArray(value) ? value.map((item) => withoutUnknown(message, item)) : value;
  }
  return field.fieldKind === "map" ? value : withoutUnknown(message, value);
}

let cached: FileRegistry | undefined;

/** Reads the contract now instead of with the first message: a tenth of a second in which nothing else runs. */
export function loadProtoJson(): void {
  registry();
}

/** Whether the contract was read. */
export function protoJsonLoaded(): boolean {
  return cached !== undefined;
}

function registry(): FileRegistry {
  cached ??= load();
  return cached;
}

function load(): FileRegistry {
  const root = fileURLToPath(new URL("../../../proto/", import.meta.url));
  const definition = loadSync(
    FILES.map((name) => `callweave/v1/${name}.proto`),
    { includeDirs: [root], keepCase: true },
  );
  const files = new Map<string, FileDescriptorProto>();
  for (const entry of Object.values(definition)) {
    if (!("fileDescriptorProtos" in entry)) continue;
    for (const bytes of entry.fileDescriptorProtos as Buffer[]) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      if (file.package === PACKAGE) files.set(file.name, repaired(file));
    }
  }
  const google = GOOGLE.map((file) => file.proto);
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [...google, ...files.values()] }));
}

/** The descriptors of the loader lack full names, JSON names and imports. */
function repaired(file: FileDescriptorProto): FileDescriptorProto {
  file.dependency = GOOGLE.map(({ proto }) => proto.name);
  file.service = [];
  for (const message of file.messageType) {
    const nested = new Set(message.nestedType.map((type) => type.name));
    const fullName = (name: string) => {
      if (name.startsWith("google.")) return `.${name}`;
      return nested.has(name) ? `.${PACKAGE}.${message.name}.${name}` : `.${PACKAGE}.${name}`;
    };
    for (const type of [message, ...message.nestedType]) {
      for (const field of type.field) {
        field.jsonName = field.name.replace(/_([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase());
        if (field.typeName !== "") field.typeName = fullName(field.typeName);
      }
    }
  }
  return file;
}
