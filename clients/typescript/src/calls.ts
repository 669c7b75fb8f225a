import { randomUUID } from "node:crypto";
import * as p from "@callweave/proto";
import { Backoff, sleep } from "./backoff.js";
import type { Connection, RotatingConnection } from "./connection.js";
import {
  enumValue,
  fromAudioFormat,
  toAudioFormat,
  toAudioGap,
  toBuffer,
  toCallEvent,
  toCallInfo,
  toEndReason,
  toEscalation,
} from "./convert.js";
import { CallweaveError } from "./errors.js";
import type {
  AgentMode,
  AudioChunk,
  AudioFormat,
  CallEvent,
  CallInfo,
  CallState,
  EndReason,
  EscalationResult,
} from "./types.js";
import * as verbs from "./verbs.js";

/** Which calls. Unset fields do not narrow. */
export interface CallFilter {
  /** At most 100. */
  readonly callIds?: readonly string[];
  /** At most 100. */
  readonly pools?: readonly string[];
  /** For `list` alone. */
  readonly states?: readonly CallState[];
}

/** What every verb of an observer takes. */
export interface UnaryVerbOptions {
  /** Makes a repetition safe: the same id with the same body answers with the first result. Default: a UUID. */
  readonly requestId?: string;
  /** How long to wait for the result of a verb that takes long. 0 to 150,000 ms. Default: 0, answers at once. */
  readonly waitMs?: number;
  /** Aborting gives up waiting for the answer; the effect is not taken back, `cancel` does that. */
  readonly signal?: AbortSignal;
}

/** The options of a verb, as an observer gives it. */
type For<O> = Omit<O, keyof verbs.VerbOptions> & UnaryVerbOptions;

/** What a verb answers. */
export interface VerbResult {
  /** The call as it is now. */
  readonly call: CallInfo;
  /** The id it was given with, for `cancel` and repetitions. */
  readonly requestId: string;
  /** True: it waits or runs; the event `commandDone` tells its end, or the same verb with this id and `waitMs`. */
  readonly pending: boolean;
  /** Of a finished escalation. */
  readonly escalation?: EscalationResult;
}

/** One step of `watch`. */
export type WatchItem =
  | { readonly type: "event"; readonly event: CallEvent }
  /** History is over, from here on live; resume from this cursor. Told once. */
  | { readonly type: "live"; readonly cursor: string };

/** Options of `watch`. */
export interface WatchOptions {
  /** From `CallEvent.cursor`, `list` or a `live` item: events after it. Default: from now on. */
  readonly cursor?: string;
  /** Which calls. Default: all. */
  readonly filter?: Omit<CallFilter, "states">;
  /** With one call in the filter and no cursor: all that is stored of it first. Default: false. */
  readonly fromBeginning?: boolean;
  /** Ends the watch. */
  readonly signal?: AbortSignal;
  /** How long to try to come back after the stream broke, then it throws. Milliseconds. Default: for ever. */
  readonly resumeTimeoutMs?: number;
}

/** Options of `listen`. */
export interface ListenOptions {
  /** What the agent leg hears, or what the agent says. Default: `MIXED`. */
  readonly source?: "MIXED" | "AGENT";
  /** Default: s16le at the rate of the call. */
  readonly format?: AudioFormat;
  /** Ends the listening. */
  readonly signal?: AbortSignal;
}

/** A call that is being heard: read it with `for await`. A slow reader loses the oldest audio, told as a gap. */
export interface Listening extends AsyncIterable<AudioChunk> {
  /** The format of all that follows; set once the first audio or gap was read. */
  readonly format: Required<AudioFormat> | undefined;
  /** Why the call is over; set when the loop ended by that. */
  readonly endReason: EndReason | undefined;
}

/** Lists, watches, hears and commands calls. Everything rejects with CallweaveError. */
export class Calls {
  /** @internal */
  constructor(private readonly connections: RotatingConnection) {}

  /** One call. Ended calls are kept for 10 minutes; CALL_NOT_FOUND. */
  async get(callId: string): Promise<CallInfo> {
    const c = this.connections.get();
    return toCallInfo((await this.ask(c.calls.getCall.bind(c.calls), { callId }, c)).call);
  }

  /**
   * Calls, newest first, and the cursor from which `watch` misses nothing after the list was made. Calls of
   * `unreachableGateways` are missing.
   */
  async list(
    options: CallFilter & {
      /** 1 to 1,000. Default: 100. */
      readonly pageSize?: number;
      /** From `nextPageToken`; the filter must be the same. */
      readonly pageToken?: string;
    } = {},
  ): Promise<{ calls: CallInfo[]; nextPageToken: string; cursor: string; unreachableGateways: string[] }> {
    const c = this.connections.get();
    const request: p.ListCallsRequest = {
      filter: fromFilter(options),
      pageSize: options.pageSize ?? 0,
      pageToken: options.pageToken ?? "",
    };
    const response = await this.ask(c.calls.listCalls.bind(c.calls), request, c);
    const { nextPageToken, cursor, unreachableGateways } = response;
    return { calls: response.calls.map(toCallInfo), nextPageToken, cursor, unreachableGateways };
  }

  /**
   * Events of calls, history first, then live, without gap or repeat. Resumes by itself after a broken stream, from the
   * last cursor. CURSOR_EXPIRED: list again and go on from there. While nothing was read yet and no cursor was given,
   * a broken stream loses what happened meanwhile.
   */
  async *watch(options: WatchOptions = {}): AsyncGenerator<WatchItem, void, undefined> {
    const { signal } = options;
    const backoff = new Backoff();
    let cursor = options.cursor ?? "";
    let live = false;
    let brokenAtMs: number | undefined;
    while (!signal?.aborted) {
      const connection = this.connections.get();
      try {
        const filter = fromFilter(options.filter ?? {});
        const fromBeginning = cursor === "" && (options.fromBeginning ?? false);
        const request: p.WatchCallsRequest = { cursor, filter, fromBeginning };
        const messages = connection.stream(
          (metadata, callOptions) => connection.calls.watchCalls(request, metadata, callOptions),
          signal,
        );
        for await (const { item } of messages) {
          backoff.reset();
          brokenAtMs = undefined;
          if (item?.$case === "event") {
            if (item.value.cursor !== "") cursor = item.value.cursor;
            yield { type: "event", event: toCallEvent(item.value) };
          } else if (item?.$case === "live") {
            if (item.value.cursor !== "") cursor = item.value.cursor;
            if (!live) yield { type: "live", cursor };
            live = true;
          }
        }
      } catch (thrown) {
        const error = CallweaveError.from(thrown);
        brokenAtMs ??= performance.now();
        const late = performance.now() - brokenAtMs > (options.resumeTimeoutMs ?? Number.POSITIVE_INFINITY);
        if (!resumable(error) || late) throw error;
        this.connections.rotate(connection);
      }
      if (!signal?.aborted) await sleep(backoff.next(), signal);
    }
  }

  /** Hears a call until it is over or the signal. */
  listen(callId: string, options: ListenOptions = {}): Listening {
    return new ListeningImpl(this.connections.get(), callId, options);
  }

  /** Answers the call. In PENDING. */
  answer(callId: string, options: UnaryVerbOptions = {}): Promise<VerbResult> {
    return this.verb(options, (c, id) => [c.calls.answerCall.bind(c.calls), verbs.answerRequest(callId, id)]);
  }

  /** Rings the original callee; on pick-up caller, callee and agent are in one conference. In PENDING and ANSWERED. */
  connect(callId: string, options: For<verbs.ConnectOptions> = {}): Promise<VerbResult> {
    return this.verb(options, (c, id) => [
      c.calls.connectCall.bind(c.calls),
      verbs.connectRequest(callId, id, options, options.waitMs),
    ]);
  }

  /** Says who hears the agent. In CONNECTED. */
  setMode(callId: string, mode: AgentMode, options: UnaryVerbOptions = {}): Promise<VerbResult> {
    return this.verb(options, (c, id) => [
      c.calls.setAgentMode.bind(c.calls),
      verbs.setModeRequest(callId, id, mode),
    ]);
  }

  /** Saves the context, lets the announcement end, connects a human and leaves. In ANSWERED. */
  escalate(callId: string, options: For<verbs.EscalateOptions>): Promise<VerbResult> {
    return this.verb(options, (c, id) => [
      c.calls.escalateCall.bind(c.calls),
      verbs.escalateRequest(callId, id, options, options.waitMs),
    ]);
  }

  /** Says whether the human accepted an escalation that asked for confirmation. */
  confirmEscalation(callId: string, accepted: boolean, options: UnaryVerbOptions = {}): Promise<VerbResult> {
    return this.verb(options, (c, id) => [
      c.calls.confirmEscalation.bind(c.calls),
      verbs.confirmRequest(callId, id, accepted),
    ]);
  }

  /** Moves the seat to another agent; the holder keeps it until the other has accepted. */
  transfer(callId: string, options: For<verbs.TransferOptions>): Promise<VerbResult> {
    return this.verb(options, (c, id) => [
      c.calls.transferCall.bind(c.calls),
      verbs.transferRequest(callId, id, options, options.waitMs),
    ]);
  }

  /** Takes the seat from its holder; the call is offered again. */
  release(callId: string, options: UnaryVerbOptions = {}): Promise<VerbResult> {
    return this.verb(options, (c, id) => [
      c.calls.releaseCall.bind(c.calls),
      verbs.releaseRequest(callId, id),
    ]);
  }

  /** The agent leaves. In CONNECTED the parties talk on; in ANSWERED it ends the call and needs `endCall`. */
  close(callId: string, options: For<verbs.CloseOptions> = {}): Promise<VerbResult> {
    return this.verb(options, (c, id) => [
      c.calls.closeCall.bind(c.calls),
      verbs.closeRequest(callId, id, options, options.waitMs),
    ]);
  }

  /** Ends the call for everyone. */
  disconnect(callId: string, options: For<verbs.DisconnectOptions> = {}): Promise<VerbResult> {
    return this.verb(options, (c, id) => [
      c.calls.disconnectCall.bind(c.calls),
      verbs.disconnectRequest(callId, id, options, options.waitMs),
    ]);
  }

  /** Cancels a command that has had no effect yet. Default: the one that waits. COMMAND_NOT_FOUND. */
  cancel(callId: string, requestId = ""): Promise<VerbResult> {
    return this.verb({ requestId }, (c) => [
      c.calls.cancelCommand.bind(c.calls),
      verbs.cancelRequest(callId, requestId),
    ]);
  }

  /** Sends 1 to 2,000 characters to the seat holder, heard by nobody. False: nobody holds the seat. */
  async sendNote(callId: string, text: string, options: UnaryVerbOptions = {}): Promise<boolean> {
    const c = this.connections.get();
    const request = { callId, requestId: options.requestId ?? randomUUID(), text };
    return (await this.ask(c.calls.sendNote.bind(c.calls), request, c, options)).delivered;
  }

  private async verb<Q>(
    options: UnaryVerbOptions,
    prepare: (c: Connection, requestId: string) => [p.UnaryCall<Q, VerbResponse>, Q],
  ): Promise<VerbResult> {
    const c = this.connections.get();
    const requestId = options.requestId ?? randomUUID();
    const [method, request] = prepare(c, requestId);
    const response = await this.ask(method, request, c, options);
    const escalation = toEscalation(response.result);
    return {
      call: toCallInfo(response.call),
      requestId,
      pending: response.pending !== undefined,
      ...(escalation ? { escalation } : {}),
    };
  }

  private async ask<Q, S>(
    method: p.UnaryCall<Q, S>,
    request: Q,
    connection: Connection,
    options: UnaryVerbOptions = {},
  ): Promise<S> {
    try {
      return await connection.unary(method, request, { signal: options.signal, extraMs: options.waitMs });
    } catch (error) {
      if (CallweaveError.from(error).code === "UNAVAILABLE") this.connections.rotate(connection);
      throw error;
    }
  }
}

interface VerbResponse {
  readonly call: p.Call | undefined;
  readonly pending?: p.PendingCommand | undefined;
  readonly result?: p.EscalationResult | undefined;
}

class ListeningImpl implements Listening {
  format: Required<AudioFormat> | undefined;
  endReason: EndReason | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly callId: string,
    private readonly options: ListenOptions,
  ) {}

  async *[Symbol.asyncIterator](): AsyncIterator<AudioChunk, void, undefined> {
    const { connection, options } = this;
    // Positions are at the rate of the call, which may differ from the rate that was asked for.
    const call = await connection.unary(connection.calls.getCall.bind(connection.calls), {
      callId: this.callId,
    });
    const rate = call.call?.sampleRateHertz || 16_000;
    const request: p.ListenCallRequest = {
      callId: this.callId,
      source: enumValue(p.AudioSource, options.source),
      format: fromAudioFormat(options.format),
    };
    const messages = connection.stream(
      (metadata, callOptions) => connection.calls.listenCall(request, metadata, callOptions),
      options.signal,
    );
    for await (const { item } of messages) {
      if (item?.$case === "started") this.format = toAudioFormat(item.value, rate);
      else if (item?.$case === "audio") {
        const { pcm, position } = item.value;
        yield { pcm: toBuffer(pcm), positionSamples: position, atMs: (position * 1000) / rate };
      } else if (item?.$case === "gap") yield toAudioGap(item.value, rate);
      else if (item?.$case === "ended") {
        this.endReason = toEndReason(item.value);
        return;
      }
    }
  }
}

/** Whether a watch goes on after this. */
function resumable(error: CallweaveError): boolean {
  if (error.reason === "GOING_AWAY" || error.reason === "STREAM_QUEUE_FULL") return true;
  return (
    error.reason === "TRANSPORT" &&
    ["UNAVAILABLE", "CANCELLED", "UNKNOWN", "INTERNAL", "ABORTED", "DEADLINE_EXCEEDED"].includes(error.code)
  );
}

function fromFilter(filter: CallFilter): p.CallFilter {
  return {
    callIds: [...(filter.callIds ?? [])],
    pools: [...(filter.pools ?? [])],
    states: (filter.states ?? []).map((state) => enumValue(p.CallState, state)),
  };
}
