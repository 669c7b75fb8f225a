import { WatchCallsResponse } from "@callweave/proto";
import { describe, expect, it } from "vitest";
import { toPbEvent } from "./convert-call.js";
import { stored } from "./testing.js";
import { EventMessage, encodeWatchCallsResponse } from "./watch-wire.js";

const bytesOf = (message: WatchCallsResponse) => Buffer.from(WatchCallsResponse.encode(message).finish());

describe("encodeWatchCallsResponse", () => {
  it("has the bytes of the generated code, for an event and for the sign that the past is over", () => {
    const event = stored({ type: "noteSent", actor: "ann", delivered: true }, 7);
    const plain: WatchCallsResponse = { item: { $case: "event", value: toPbEvent(event) } };
    expect(Buffer.from(encodeWatchCallsResponse(new EventMessage(event)))).toEqual(bytesOf(plain));
    const live: WatchCallsResponse = { item: { $case: "live", value: { cursor: "k-1" } } };
    expect(Buffer.from(encodeWatchCallsResponse(live))).toEqual(bytesOf(live));
  });

  it("encodes an event once for all who watch it, and another one by itself", () => {
    const event = stored({ type: "answered" }, 1);
    const first = encodeWatchCallsResponse(new EventMessage(event));
    expect(encodeWatchCallsResponse(new EventMessage(event))).toBe(first);
    const same = encodeWatchCallsResponse(new EventMessage({ ...event, sequence: 2 }));
    expect(WatchCallsResponse.decode(same).item).toMatchObject({ value: { sequence: 2 } });
  });
});
