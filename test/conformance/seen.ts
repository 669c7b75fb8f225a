import { refusalOf } from "../harness/outsider.js";
import { fill, turnText } from "./fill.js";
import { mismatch } from "./match.js";
import { settle, type Wrong } from "./settle.js";
import type { Doer } from "./steps.js";

type Name =
  | "event"
  | "events"
  | "order"
  | "context"
  | "seen"
  | "agents"
  | "phone"
  | "phoneEach"
  | "provider"
  | "connections"
  | "ask";

/** What is seen at the provider, and over plain gRPC by somebody without our clients. */
export const SEEN: { readonly [N in Name]: Doer<N> } = {
  event(stage, { call, type, has, withinMs }) {
    const { id } = stage.call(call);
    const wanted = fill(stage, has);
    return settle(() => {
      if (stage.watch.all(id, type, wanted).length > 0) return undefined;
      const there = stage.watch
        .of(id)
        .map((event) => (event.event === type ? shown(event[type]) : event.event));
      return `no event ${type} with ${shown(wanted)}; there are ${there.join(", ")}`;
    }, withinMs);
  },
  events(stage, { call, type, has, count }) {
    const found = stage.watch.all(stage.call(call).id, type, fill(stage, has));
    if (found.length !== count) throw new Error(`there are ${found.length} events ${type}, not ${count}`);
  },
  order(stage, { call, types }) {
    const there = stage.watch.of(stage.call(call).id).map(({ event }) => event);
    let from = 0;
    for (const type of types) {
      const index = there.indexOf(type, from);
      if (index < 0) throw new Error(`not in the order ${types.join(", ")}: ${there.join(", ")}`);
      from = index + 1;
    }
  },
  context(stage, { call, has, turns, withinMs }) {
    const request = { call_id: stage.call(call).id };
    return settle(async () => {
      const answer = await stage.watch.outsider
        .ask("ContextService", "GetContext", request)
        .catch((error) => ({ refusal: refusalOf(error) }));
      if ("refusal" in answer) return `no context: ${answer.refusal.reason}`;
      const wrong = mismatch(answer.context, fill(stage, has));
      return wrong ? `the context: ${wrong}` : wrongTurns(answer.context.turns, turns);
    }, withinMs);
  },
  seen(stage, { call, has, withinMs }) {
    const request = { call_id: stage.call(call).id };
    return settle(async () => {
      const answer = await stage.watch.outsider.ask("CallService", "GetCall", request);
      const wrong = mismatch(answer.call, fill(stage, has));
      return wrong && `the gateway says of the call: ${wrong}`;
    }, withinMs);
  },
  agents: (stage, { has, withinMs }) =>
    settle(async () => {
      const answer = await stage.watch.outsider.ask("FleetService", "ListAgents", {});
      const wrong = mismatch(answer.agents, fill(stage, has));
      return wrong && `the gateway says of its agents: ${wrong}`;
    }, withinMs),
  phone: (stage, { call, has, withinMs }) => settle(() => wrongPhone(stage.call(call), has), withinMs),
  async phoneEach(stage, { calls, has, withinMs }) {
    for (const { phone } of stage.callsOf(calls)) await settle(() => wrongPhone(phone, has), withinMs);
  },
  provider(stage, { call, command, times }) {
    const sent = stage
      .call(call)
      .events.filter(({ direction, type }) => direction === "in" && type === command).length;
    if (sent !== times) throw new Error(`the provider was sent ${command} ${sent} times, not ${times}`);
  },
  connections: (stage, { least, most, withinMs }) =>
    settle(() => {
      const { connections } = stage.ways;
      if (connections >= least && connections <= most) return undefined;
      return `there are ${connections} connections, not ${least} to ${most}`;
    }, withinMs),
  ask(stage, { service, method, request, has, refused, withinMs }) {
    const body = fill(stage, request);
    const { outsider } = stage.watch;
    return settle(async () => {
      if (refused) return mismatch(await outsider.refused(service, method, body), refused);
      const answer = await outsider.ask(service, method, body);
      return has && mismatch(answer, fill(stage, has));
    }, withinMs);
  },
};

/** The parts of a call at the provider that scenarios look at. */
interface Phone {
  readonly state: unknown;
  readonly agentLeft: unknown;
  readonly agentMode: unknown;
  readonly endReason: unknown;
  readonly stats: unknown;
}

function wrongPhone({ state, agentLeft, agentMode, endReason, stats }: Phone, has: object): Wrong {
  const wrong = mismatch({ state, agentLeft, agentMode, endReason, stats }, has);
  return wrong && `the provider says of the call: ${wrong}`;
}

function wrongTurns(turns: readonly { text: string }[], count: number | undefined): Wrong {
  if (count === undefined) return undefined;
  if (turns.length !== count) return `the context has ${turns.length} turns, not ${count}`;
  const jumbled = turns.findIndex(({ text }, i) => /as number/.test(text) && text !== turnText(i));
  return jumbled < 0 ? undefined : `turn ${jumbled} of the context is "${turns[jumbled]?.text}"`;
}

function shown(value: unknown): string {
  return JSON.stringify(value);
}
