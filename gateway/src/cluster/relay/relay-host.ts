import type { Bus } from "../../bus/bus.js";
import type { CallError } from "../../call/call-error.js";
import type {
  AgentNotice,
  AgentStream,
  AgentStreamHandler,
  RegisteredInfo,
} from "../../dispatch/agent-port.js";
import type { Hub } from "../../dispatch/hub.js";
import type { Link } from "../link.js";
import type { Roster } from "../roster.js";
import {
  FRAME_DEFAULTS,
  FRAME_NUMBER,
  type FrameOptions,
  FrameReceiver,
  FrameSender,
  relaySubject,
} from "./frames.js";
import type { DownMessage, RelayOpen, RelayOpened, UpMessage } from "./messages.js";

/** What the host of relays needs. */
export interface RelayHostDeps {
  readonly bus: Bus;
  readonly link: Link;
  readonly roster: Roster;
  readonly gatewayId: string;
  readonly hub: Hub;
  readonly frames?: Partial<FrameOptions>;
}

/** Sessions of agents that are connected to other gateways: to the hub a wire like any other. */
export class RelayHost {
  private readonly streams = new Set<HostStream>();
  private readonly stops: (() => void)[] = [];
  /** Relays that broke while the bus was away; the others are told when it is back. */
  private readonly untold: string[] = [];

  constructor(private readonly deps: RelayHostDeps) {
    const { bus, link, roster } = deps;
    link.handle("relay-open", async (body, from) => this.open(body as RelayOpen, from));
    this.stops.push(
      roster.onLeave(({ gatewayId }) => this.breakAll((stream) => stream.from === gatewayId)),
      bus.onStatus((connected) => {
        if (!connected) this.breakAll(() => true);
        else for (const subject of this.untold.splice(0)) sayBroken(bus, subject);
      }),
    );
  }

  stop(): void {
    for (const stop of this.stops) stop();
    this.breakAll(() => true);
  }

  private open(question: RelayOpen, from: string): RelayOpened {
    const { bus, hub, gatewayId, frames } = this.deps;
    const { actor, registration, back } = question;
    const stream = new HostStream(
      bus,
      gatewayId,
      from,
      question,
      { ...FRAME_DEFAULTS, ...frames },
      (broken) => {
        this.streams.delete(stream);
        if (broken) this.tellBroken(relaySubject(from, question.relayId));
      },
    );
    this.streams.add(stream);
    try {
      const relayed = { ...registration, heartbeat: false, relayedBy: from };
      stream.handler = back
        ? hub.reattach(actor, back.sessionToken, back.calls, stream)
        : hub.register(actor, relayed, stream);
      const { info } = stream;
      if (!info) throw new Error("the hub did not say registered");
      hub.relayedState(info.sessionToken, question);
      return { sessionToken: info.sessionToken };
    } catch (error) {
      stream.close();
      throw error;
    }
  }

  private tellBroken(subject: string): void {
    if (this.deps.bus.connected) sayBroken(this.deps.bus, subject);
    else if (this.untold.length < MAX_UNTOLD) this.untold.push(subject);
  }

  private breakAll(which: (stream: HostStream) => boolean): void {
    for (const stream of [...this.streams]) if (which(stream)) stream.broken();
  }
}

/** Relays remembered while the bus is away, at most; those beyond it are opened again by the agent's next word. */
const MAX_UNTOLD = 10_000;

/** A frame out of order: whoever still listens opens the relay again. */
function sayBroken(bus: Bus, subject: string): void {
  bus.publish(subject, new Uint8Array(), { headers: { [FRAME_NUMBER]: "0" } });
}

/** One relayed stream of a session. */
class HostStream implements AgentStream {
  handler: AgentStreamHandler | undefined;
  info: RegisteredInfo | undefined;
  private readonly sender: FrameSender;
  private readonly receiver: FrameReceiver;
  private readonly rates = new Map<number, { readonly sampleRateHz: number; gapFrom: number }>();
  private over = false;

  constructor(
    bus: Bus,
    gatewayId: string,
    readonly from: string,
    { relayId }: RelayOpen,
    private readonly options: FrameOptions,
    private readonly onOver: (broken: boolean) => void,
  ) {
    this.sender = new FrameSender(bus, relaySubject(from, relayId), options, () => this.broken());
    this.receiver = new FrameReceiver(bus, relaySubject(gatewayId, relayId), {
      message: (body) => this.take(body as UpMessage),
      audio: (handle, _position, _samples, pcm) => this.handler?.audio(handle, pcm),
      broken: () => this.broken(),
    });
  }

  // The core's side.

  send(notice: AgentNotice): void {
    if (notice.type === "registered") this.info = notice.info;
    if (notice.type === "assigned")
      this.rates.set(notice.handle, { sampleRateHz: notice.call.sampleRateHz, gapFrom: -1 });
    // The agent is told by its own gateway when that goes away, not when this one does.
    if (notice.type === "registered" || notice.type === "goAway") return;
    const message: DownMessage = { t: "notice", notice };
    this.sender.message(message);
  }

  sendAudio(handle: number, position: number, samples: number, pcm: Uint8Array): void {
    const seat = this.rates.get(handle);
    if (!seat) return;
    // A bus that is slow for a moment costs audio, told by a gap, and not the relay.
    if (this.sender.waitingBytes > this.options.maxQueuedBytes / 2) {
      if (seat.gapFrom < 0) seat.gapFrom = position;
      return;
    }
    if (seat.gapFrom >= 0) {
      const from = seat.gapFrom;
      seat.gapFrom = -1;
      const durationMs = ((position - from) * 1000) / seat.sampleRateHz;
      this.send({ type: "audioGap", handle, from, durationMs, reason: "SLOW_RECEIVER" });
    }
    this.sender.audio(handle, position, samples, pcm);
  }

  endHandle(handle: number): void {
    this.rates.delete(handle);
  }

  end(_error?: CallError): void {
    if (this.over) return;
    const message: DownMessage = { t: "end" };
    this.sender.message(message);
    this.finish("ended");
  }

  // The bus's side.

  /** Nothing more comes or goes; the seats of the session wait for it. */
  broken(): void {
    this.finish("broken");
  }

  /** It never began. */
  close(): void {
    this.over = true;
    this.sender.close();
    this.receiver.close();
    this.onOver(false);
  }

  private finish(how: "ended" | "broken" | "lost"): void {
    if (this.over) return;
    this.over = true;
    this.receiver.close();
    this.sender.close(how === "ended");
    this.onOver(how === "broken");
    const { handler } = this;
    this.handler = undefined;
    // Never inside a call of the core.
    setImmediate(() => handler?.lost());
  }

  private take(message: UpMessage): void {
    const { handler } = this;
    if (!handler) return;
    switch (message.t) {
      case "accept":
        handler.accept(message.offerId);
        break;
      case "decline":
        handler.decline(message.offerId, message.reason);
        break;
      case "mark":
        handler.mark(message.handle, message.name);
        break;
      case "clear":
        handler.clearPlayback(message.handle);
        break;
      case "command":
        handler.command(message.handle, message.requestId, message.command);
        break;
      case "state":
        handler.heartbeat(message.load);
        handler.takenElsewhere?.(message.takenElsewhere);
        break;
      case "drain":
        handler.drain();
        break;
      case "bye":
        handler.bye();
        break;
      case "lost":
        this.finish("lost");
        break;
    }
  }
}
