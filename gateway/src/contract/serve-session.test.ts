import { type AgentItem, decodeMessage, ServeRequest, ServeResponse } from "@callweave/proto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CallError } from "../call/call-error.js";
import { Authenticator } from "./authenticator.js";
import { DEFAULT_STREAM_LIMITS } from "./limits.js";
import { principalOf, type Role } from "./principal.js";
import { ServeSession, serveStats } from "./serve-session.js";
import { FakeHub, FakeLogger } from "./testing.js";

const MAX_ITEMS = 4;
const authenticator = new Authenticator({});
const REFUSED_HANDLE = 13;
const FATAL_HANDLE = 14;

/** A session whose core writes down what it is told. */
function begin() {
  const stats = serveStats();
  const agents = new FakeHub();
  const { handler } = agents;
  const told: string[] = [];
  const session = new ServeSession(
    {
      agents,
      authenticator,
      limits: { ...DEFAULT_STREAM_LIMITS, maxItems: MAX_ITEMS },
      logger: new FakeLogger(),
      stats,
    },
    {
      name: "test Serve",
      peer: "127.0.0.1:1",
      write: (message, done) => {
        told.push(Buffer.from(ServeResponse.encode(message).finish()).toString("hex"));
        setImmediate(done);
      },
      finish: (error) => told.push(`end ${error?.reason}`),
    },
  );
  handler.onAudio = (handle, pcm) => {
    handler.said.push(`audio ${handle} ${Buffer.from(pcm).toString("hex")}`);
    if (handle === REFUSED_HANDLE) throw new CallError("PLAYBACK_FULL", "no room");
    if (handle === FATAL_HANDLE) session.refuse(new CallError("GOING_AWAY", "no more"));
  };
  session.admit(speaker("agent"));
  return { session, stats, said: handler.said, told, handler };
}

function speaker(role: Role) {
  return principalOf("default", "tester", role);
}

const REGISTER: AgentItem = ServeRequest.fromPartial({
  items: [{ item: { $case: "register", value: { agentId: "echo", capacity: 10 } } }],
}).items[0] as AgentItem;

describe("ServeSession.audioMessage", () => {
  const odd = fc.constantFrom(REFUSED_HANDLE, FATAL_HANDLE, 2 ** 30);
  const handle = fc.oneof({ weight: 12, arbitrary: fc.nat(3) }, odd);
  const pcm = fc.oneof(
    { weight: 20, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 4 }) },
    fc.constant(new Uint8Array()),
  );
  const audio = fc.record({ handle, pcm }).map((value): AgentItem => ({ item: { $case: "audio", value } }));
  const other = fc.constantFrom<AgentItem>(
    REGISTER,
    { item: undefined },
    { item: { $case: "mark", value: { handle: 1, name: "m" } } },
    { item: { $case: "mark", value: { handle: 1, name: "" } } },
    { item: { $case: "heartbeat", value: { load: 0.5 } } },
    { item: { $case: "clearPlayback", value: { handle: 3 } } },
  );
  const message = fc
    .oneof(
      { weight: 3, arbitrary: fc.array(audio, { maxLength: MAX_ITEMS + 1 }) },
      fc.array(fc.oneof(audio, other), { maxLength: MAX_ITEMS + 1 }),
    )
    .map((items) => Buffer.from(ServeRequest.encode({ items }).finish()));
  const role = fc.constantFrom<Role>("agent", "observer");
  const steps = fc.array(fc.oneof({ weight: 9, arbitrary: message }, role), { maxLength: 8, size: "max" });
  const registered = fc.nat(9).map((n) => n > 0);

  it("does what the message does, in the same order, or nothing", async () => {
    let byHand = 0;
    await fc.assert(
      fc.asyncProperty(registered, steps, async (first, all) => {
        const [quick, plain] = [begin(), begin()];
        const register = Buffer.from(ServeRequest.encode({ items: [REGISTER] }).finish());
        for (const one of first ? [register, ...all] : all) {
          for (const { session } of [quick, plain]) {
            if (typeof one === "string") session.admit(speaker(one));
            else if (session === quick.session && session.audioMessage(one, 0, one.length)) byHand++;
            else session.message(decodeMessage(ServeRequest, one));
          }
          expect(quick.said).toEqual(plain.said);
          expect(quick.stats).toEqual(plain.stats);
        }
        for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
        for (const { session } of [quick, plain]) session.gone();
        await new Promise((resolve) => setImmediate(resolve));
        expect(quick.told).toEqual(plain.told);
        expect(quick.stats).toEqual(plain.stats);
        expect(quick.handler.lostCount).toBe(plain.handler.lostCount);
      }),
      { numRuns: 300 },
    );
    expect(byHand).toBeGreaterThan(100);
  });
});
