import { decodeMessage, ListenCallRequest, type ListenCallResponse } from "@callweave/proto";
import { invalidField } from "../call/call-error.js";
import { encodeListenCallResponse } from "../contract/audio-wire.js";
import { OPERATION_DEFINITIONS, type Operation, type Operations } from "../contract/operations.js";
import { WATCH_ENCODERS } from "../contract/watch-wire.js";
import type { Watch, Watches } from "../contract/watches.js";

/** How the messages of a method are written. */
interface Codec<Q, S> {
  read(bytes: Uint8Array): Q;
  write(message: S): Uint8Array;
}

/** A method of the contract as a browser may open it. */
export type Method =
  | ({ readonly kind: "unary"; readonly run: Operation<unknown, unknown> } & Codec<unknown, unknown>)
  | ({ readonly kind: "watch"; readonly watch: Watch<unknown, unknown> } & Codec<unknown, unknown>)
  | ({ readonly kind: "listen" } & Codec<ListenCallRequest, ListenCallResponse>)
  | { readonly kind: "serve" };

interface Definition {
  readonly path: string;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (message: unknown) => Buffer;
}

/** All methods by "Service/Method". */
export function deskMethods(operations: Operations, watches: Watches): ReadonlyMap<string, Method> {
  const methods = new Map<string, Method>([
    ["AgentService/Serve", { kind: "serve" }],
    [
      "CallService/ListenCall",
      {
        kind: "listen",
        read: reader("CallService/ListenCall", (bytes) => decodeMessage(ListenCallRequest, bytes)),
        write: (message) => encodeListenCallResponse(message),
      },
    ],
  ]);
  for (const service of ["call", "context", "fleet", "audit"] as const) {
    const table: Readonly<Record<string, unknown>> = { ...operations[service], ...watches };
    const encoders = WATCH_ENCODERS as Readonly<Record<string, unknown>>;
    for (const [key, value] of Object.entries(OPERATION_DEFINITIONS[service])) {
      const definition = value as unknown as Definition;
      const run = table[key];
      if (!run) continue;
      const name = definition.path.replace("/callweave.v1.", "");
      const codec = {
        read: reader(name, (bytes) => definition.requestDeserialize(bytes as Buffer)),
        write: (encoders[key] ?? definition.responseSerialize) as (message: unknown) => Uint8Array,
      };
      if (key in watches)
        methods.set(name, { kind: "watch", watch: run as Watch<unknown, unknown>, ...codec });
      else methods.set(name, { kind: "unary", run: run as Operation<unknown, unknown>, ...codec });
    }
  }
  return methods;
}

function reader<Q>(name: string, read: (bytes: Uint8Array) => Q): (bytes: Uint8Array) => Q {
  return (bytes) => {
    try {
      return read(bytes);
    } catch {
      throw invalidField("request", `a well-formed request of ${name}`);
    }
  };
}
