/**
 * The provider's side of the bench: control connection, sessions and claims, one media connection a call with token,
 * commands, credit and paced audio. Unlike the simulator it plays, records and mixes nothing, so that it does not limit
 * what it measures. `/floor/N` takes the bare relay's connections.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { machineMs, sleep, until } from "../clock.js";
import { Samples, type Spread } from "../figures.js";
import { answerMain } from "../ipc.js";
import { MediaCall, type ProviderTimes, type SilenceTimes } from "./media-call.js";
import { Traffic } from "./traffic.js";

interface Session {
  readonly id: string;
  readonly token: string;
  readonly call: MediaCall;
  /** The control connection that claimed it. */
  owner: WebSocket | undefined;
}

/** How calls come and go. */
export interface RushOptions {
  /** Calls at a time. */
  readonly lines: number;
  /** No new one after this long. */
  readonly seconds: number;
  /** No more than so many. */
  readonly count: number;
  /** From the answer to hanging up. ms. */
  readonly holdMs: number;
}

/** What became of them. */
export interface RushReport {
  readonly begun: number;
  /** Answered. */
  readonly done: number;
  /** Not answered within 10 s. */
  readonly failed: number;
  readonly seconds: number;
  readonly notifyToClaimMs: Spread;
  readonly notifyToAnswerMs: Spread;
}

/** Bytes on the wire, by the provider's sockets. */
export interface WireBytes {
  readonly received: number;
  readonly sent: number;
}

const CALLER = "+15550100";
const CALLEE = "+15550101";
/** For frames on their way when the window closes. */
const STRAGGLER_MS = 1_500;
const START_TIMEOUT_MS = 60_000;
const RUSH_TIMEOUT_MS = 10_000;

const traffic = new Traffic();
const sessions = new Map<string, Session>();
const floor = new Map<number, MediaCall>();
/** Control connections and how many sessions each claimed. */
const controls = new Map<WebSocket, number>();
let calls = 0;
/** Every connection there was, for its bytes. */
const sockets = new Set<Socket>();
const goneBytes = { received: 0, sent: 0 };

const http = createServer((request, response) => {
  const isList = request.url?.startsWith("/public/v1/sessions?") ?? false;
  response.writeHead(isList ? 200 : 404, { "content-type": "application/json" });
  response.end(
    JSON.stringify(isList ? { items: [...sessions.values()].map(view) } : { code: "NOT_FOUND", message: "" }),
  );
});
http.on("connection", (socket: Socket) => {
  sockets.add(socket);
  socket.on("close", () => {
    sockets.delete(socket);
    goneBytes.received += socket.bytesRead;
    goneBytes.sent += socket.bytesWritten;
  });
});
const upgrades = new WebSocketServer({ noServer: true, perMessageDeflate: false });
http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
  const take = whatFor(request);
  if (!take) {
    socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
    return;
  }
  upgrades.handleUpgrade(request, socket, head, take);
});

function whatFor(request: IncomingMessage): ((ws: WebSocket) => void) | undefined {
  const path = request.url ?? "";
  if (path === "/v1/agent/session-manager") return request.headers["x-api-key"] ? signIn : undefined;
  const [, kind, id = ""] = path.split("/");
  if (kind === "floor") {
    const call = new MediaCall(Number(id), id, traffic, false);
    floor.set(call.index, call);
    return (ws) => call.attach(ws);
  }
  const session = kind === "media" ? sessions.get(id) : undefined;
  if (!session || request.headers.authorization !== `Bearer ${session.token}`) return undefined;
  return (ws) => session.call.attach(ws);
}

function signIn(ws: WebSocket): void {
  controls.set(ws, 0);
  ws.on("close", () => controls.delete(ws));
  ws.on("message", (data) => {
    const frame = JSON.parse(data.toString()) as { type: string; reqId?: string; sessionId?: string };
    const reply = (content: unknown, errorCode: string | null = null) =>
      answer(ws, frame.reqId ?? "", content, errorCode);
    if (frame.type === "setup") tell(ws, { type: "setup.done", smWsId: randomUUID() });
    else if (frame.type === "session.open") claim(ws, reply, sessions.get(frame.sessionId ?? ""));
    else if (frame.type === "session.ready") ready(ws, sessions.get(frame.sessionId ?? ""));
    else if (frame.reqId) reply({});
  });
}

function tell(ws: WebSocket, frame: object): void {
  ws.send(JSON.stringify(frame));
}

/** To every gateway. */
function push(frame: object): void {
  for (const ws of controls.keys()) tell(ws, frame);
}

function answer(ws: WebSocket, reqId: string, content: unknown, errorCode: string | null): void {
  tell(ws, { type: "response", reqId, ok: errorCode === null, content, errorCode, errorContent: null });
}

/** The first one gets it. */
function claim(
  ws: WebSocket,
  reply: (content: unknown, errorCode?: string) => void,
  session: Session | undefined,
): void {
  if (!session) {
    reply(null, "SESSION_NOT_FOUND");
    return;
  }
  if (session.owner) {
    reply(null, "SESSION_BUSY");
    return;
  }
  session.owner = ws;
  controls.set(ws, (controls.get(ws) ?? 0) + 1);
  session.call.claimedMs = machineMs();
  reply({ session: view(session) });
}

function ready(ws: WebSocket, session: Session | undefined): void {
  if (session?.owner !== ws) return;
  const { port } = http.address() as { port: number };
  tell(ws, {
    type: "call.in",
    sessionId: session.id,
    callId: session.call.callId,
    orgUuid: "bench",
    from: CALLER,
    to: CALLEE,
    url: `ws://127.0.0.1:${port}/media/${session.id}`,
    token: session.token,
  });
}

function view(session: Session) {
  return {
    id: session.id,
    channel: "TELCO",
    initiator: "CONNECTOR",
    state: "OPEN",
    remoteAddress: CALLER,
    localAddress: CALLEE,
    openedAt: Math.floor(Date.now() / 1000),
    closedAt: null,
  };
}

function place(): Session {
  const id = randomUUID();
  const call = new MediaCall(calls++, randomUUID(), traffic, true);
  const session = { id, token: randomBytes(24).toString("hex"), call, owner: undefined };
  sessions.set(id, session);
  call.notifiedMs = machineMs();
  push({
    type: "session.notify",
    sessionId: id,
    channel: "TELCO",
    remoteAddress: CALLER,
    localAddress: CALLEE,
    activity: "NEW_INCOMING_CALL",
    createdAt: Math.floor(Date.now() / 1000),
  });
  return session;
}

function timesOf({ call }: Session): ProviderTimes {
  const { callId, notifiedMs, claimedMs, answeredMs } = call;
  return { callId, notifiedMs, claimedMs, answeredMs };
}

/** Places calls one after the other, without waiting for each; resolves when all are answered. */
async function placeCalls({ count, everyMs }: { count: number; everyMs: number }): Promise<ProviderTimes[]> {
  const placed: Session[] = [];
  for (let i = 0; i < count; i++) {
    placed.push(place());
    await sleep(everyMs);
  }
  await until(() => placed.every((s) => s.call.isUp), `${count} answered calls`, START_TIMEOUT_MS);
  return placed.map(timesOf);
}

/** Calls that come one at a time and hang up once they were answered. */
async function shortCalls({ count }: { count: number }): Promise<ProviderTimes[]> {
  const times: ProviderTimes[] = [];
  for (let i = 0; i < count; i++) {
    const session = place();
    await until(() => session.call.isUp, "an answered call", 10_000);
    await sleep(50);
    times.push(timesOf(session));
    hangUp(session);
  }
  return times;
}

function hangUp(session: Session): void {
  session.call.hangUp();
  sessions.delete(session.id);
  push({ type: "session.closed", sessionId: session.id, reason: "CALL_TERMINATED" });
}

/** Calls that come and go, so many at a time, until time or number is reached; the next comes when one hung up. */
async function rush({ lines, seconds, count, holdMs }: RushOptions): Promise<RushReport> {
  const startMs = machineMs();
  const endMs = startMs + seconds * 1000;
  const claims = new Samples();
  const answers = new Samples();
  const report = { begun: 0, done: 0, failed: 0 };
  const line = async () => {
    while (machineMs() < endMs && report.begun < count) {
      report.begun++;
      const session = place();
      const { call } = session;
      const isUp = await until(() => call.isUp, "an answered call", RUSH_TIMEOUT_MS).catch(() => false);
      if (isUp) {
        report.done++;
        claims.add(call.claimedMs - call.notifiedMs);
        answers.add(call.answeredMs - call.notifiedMs);
        if (holdMs > 0) await sleep(holdMs);
      } else report.failed++;
      hangUp(session);
    }
  };
  await Promise.all(Array.from({ length: lines }, line));
  return {
    ...report,
    seconds: (machineMs() - startMs) / 1000,
    notifyToClaimMs: claims.spread(),
    notifyToAnswerMs: answers.spread(),
  };
}

/** Bytes of all connections since the start, as the gateway's side of them sees it: audio, commands, headers. */
function wireBytes(): WireBytes {
  let { received, sent } = goneBytes;
  for (const socket of sockets) {
    received += socket.bytesRead;
    sent += socket.bytesWritten;
  }
  return { received, sent };
}

function callsOf(callIds: readonly string[]): MediaCall[] {
  return [...sessions.values()].map((s) => s.call).filter((call) => callIds.includes(call.callId));
}

http.listen(0, "127.0.0.1", () => {
  answerMain(
    {
      placeCalls,
      shortCalls,
      rush,
      wireBytes,
      hangUp: ({ callIds }: { callIds: string[] }) => {
        for (const session of [...sessions.values()])
          if (callIds.includes(session.call.callId)) hangUp(session);
      },
      mute: ({ muted }: { muted: boolean }) => {
        for (const { call } of sessions.values()) call.muted = muted;
      },
      waitForControls: ({ count }: { count: number }) =>
        until(() => controls.size === count, `${count} gateways`, START_TIMEOUT_MS),
      claims: () => [...controls.values()],
      waitForFloor: ({ count }: { count: number }) =>
        until(
          () => floor.size === count && [...floor.values()].every((call) => call.isUp),
          `${count} connections of the relay`,
          START_TIMEOUT_MS,
        ),
      openWindow: () => traffic.open(),
      closeWindow: async () => {
        traffic.close();
        await sleep(STRAGGLER_MS);
        return traffic.report();
      },
      realTime: ({ callIds }: { callIds: string[] }) => {
        for (const call of callsOf(callIds)) call.realTime = true;
      },
      silence: ({ callIds }: { callIds: string[] }): SilenceTimes[] =>
        callsOf(callIds).map(({ callId, lastAudioMs, interruptedMs }) => ({
          callId,
          lastAudioMs,
          interruptedMs,
        })),
    },
    { port: (http.address() as { port: number }).port },
  );
});
