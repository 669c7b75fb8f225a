import { CallEvent as PbCallEvent } from "@callweave/proto";
import type { EventWire } from "../events/event-wire.js";
import { toPbEvent } from "./convert-call.js";
import { fromPbEvent } from "./from-pb-event.js";
import { protoJson } from "./proto-json.js";

const JSON_FORM = protoJson("CallEvent", PbCallEvent);

/** Says how the payload is to be read: "json" or "protobuf". */
export const ENCODING_HEADER = "Callweave-Encoding";

/**
 * Events as they are published on NATS: `callweave.v1.CallEvent` as protobuf JSON or as protobuf. The message has no
 * cursor: it is the message's own place in its stream. Both forms are read.
 */
export function eventWire(encoding: "json" | "protobuf"): EventWire {
  return {
    encode(event) {
      const message = toPbEvent({ ...event, cursor: "", durable: true });
      const data = encoding === "protobuf" ? PbCallEvent.encode(message).finish() : JSON_FORM.encode(message);
      return { data, headers: { [ENCODING_HEADER]: encoding } };
    },
    decode(tenant, { data, headers }) {
      const message =
        headers[ENCODING_HEADER] === "protobuf" ? PbCallEvent.decode(data) : JSON_FORM.decode(data);
      return fromPbEvent(tenant, message);
    },
  };
}
