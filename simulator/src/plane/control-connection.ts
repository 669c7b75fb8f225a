import { randomUUID } from "node:crypto";
import type WebSocket from "ws";
import { isSampleRate, type SampleRate } from "../audio/mix.js";
import type { SimClock } from "../clock.js";
import type { FaultyConnection, SimFaults } from "../faults/sim-faults.js";
import { type ControlPush, parseObject } from "./messages.js";

/** Answer to a request of the control connection. */
export type ControlAnswer =
  | { readonly ok: true; readonly content?: unknown }
  | { readonly ok: false; readonly errorCode: string; readonly errorContent?: unknown };

/** Who handles what comes on a control connection. */
export interface ControlHandler {
  /** `setup` was accepted and `setup.done` sent. */
  onSetup(connection: ControlConnection): void;
  /** A frame after setup; the answer goes back when the frame has a `reqId`. */
  onFrame(connection: ControlConnection, frame: Readonly<Record<string, unknown>>): ControlAnswer;
  onClose(connection: ControlConnection): void;
}

/** One control connection of a connector. */
export class ControlConnection implements FaultyConnection {
  /** `smWsId`, new with each connection. */
  readonly id = randomUUID();
  readonly connectorUuid: string;
  /** Base URL under which the client reached the simulator, such as `ws://127.0.0.1:8080`. */
  readonly baseUrl: string;
  readonly sdkVersion: string;
  readonly #socket: WebSocket;
  readonly #clock: SimClock;
  readonly #faults: SimFaults;
  readonly #handler: ControlHandler;
  #sampleRate: SampleRate = 16000;
  #isolated = false;
  #setUp = false;
  #frozen = false;
  /** Frames that could not be understood. */
  badFrames = 0;

  constructor(
    socket: WebSocket,
    peer: { readonly connectorUuid: string; readonly baseUrl: string; readonly sdkVersion: string },
    clock: SimClock,
    faults: SimFaults,
    handler: ControlHandler,
  ) {
    this.#socket = socket;
    this.connectorUuid = peer.connectorUuid;
    this.baseUrl = peer.baseUrl;
    this.sdkVersion = peer.sdkVersion;
    this.#clock = clock;
    this.#faults = faults;
    this.#handler = handler;
    socket.on("message", (data, isBinary) => {
      if (isBinary) this.badFrames += 1;
      else this.#receive(data.toString());
    });
    socket.on("close", () => handler.onClose(this));
    socket.on("error", () => socket.terminate());
  }

  /** `setup` came and was accepted. */
  get isSetUp(): boolean {
    return this.#setUp;
  }

  get sampleRate(): SampleRate {
    return this.#sampleRate;
  }

  get isolated(): boolean {
    return this.#isolated;
  }

  /** Sends a frame of the provider's own accord. */
  push(frame: ControlPush): void {
    this.#faults.push(() => this.sendRaw(JSON.stringify(frame)));
  }

  sendRaw(data: Buffer | string): void {
    if (this.#socket.readyState === this.#socket.OPEN && !this.#frozen)
      this.#socket.send(data, { binary: typeof data !== "string" });
  }

  drop(code: number, abrupt: boolean): void {
    if (abrupt) this.#socket.terminate();
    else this.#socket.close(code);
  }

  freeze(frozen: boolean): void {
    this.#frozen = frozen;
    if (frozen) this.#socket.pause();
    else this.#socket.resume();
  }

  #receive(text: string): void {
    const frame = parseObject(text);
    if (!frame || typeof frame.type !== "string") {
      this.badFrames += 1;
      return;
    }
    if (frame.type === "setup") {
      this.#onSetup(frame);
      return;
    }
    const fault = typeof frame.reqId === "string" ? this.#faults.takeResponseFault(frame.type) : undefined;
    const answer: ControlAnswer =
      fault?.errorCode !== undefined
        ? { ok: false, errorCode: fault.errorCode }
        : this.#setUp
          ? this.#handler.onFrame(this, frame)
          : { ok: false, errorCode: "INVALID_REQUEST", errorContent: { message: "setup comes first" } };
    if (typeof frame.reqId !== "string" || fault?.swallow) return;
    const response = JSON.stringify({
      type: "response",
      reqId: frame.reqId,
      ok: answer.ok,
      content: answer.ok ? (answer.content ?? null) : null,
      errorCode: answer.ok ? null : answer.errorCode,
      errorContent: answer.ok ? null : (answer.errorContent ?? null),
    });
    if (fault?.delayMs) this.#clock.setTimeout(() => this.sendRaw(response), fault.delayMs);
    else this.sendRaw(response);
  }

  #onSetup(frame: Readonly<Record<string, unknown>>): void {
    const data = (typeof frame.data === "object" && frame.data !== null ? frame.data : {}) as Record<
      string,
      unknown
    >;
    const audioMode = data.audioMode ?? "mixed";
    if (!isSampleRate(data.sampleRate) || (audioMode !== "mixed" && audioMode !== "isolated")) {
      this.#socket.close(1008, "setup needs sampleRate 8000, 16000 or 24000 and audioMode mixed or isolated");
      return;
    }
    this.#sampleRate = data.sampleRate;
    this.#isolated = audioMode === "isolated";
    const done = () => {
      this.#setUp = true;
      this.push({ type: "setup.done", smWsId: this.id });
      this.#handler.onSetup(this);
    };
    if (this.#faults.setupDelayMs > 0) this.#clock.setTimeout(done, this.#faults.setupDelayMs);
    else done();
  }
}
