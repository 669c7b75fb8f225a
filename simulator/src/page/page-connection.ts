import type { WebSocket } from "ws";
import type { SimCall } from "../call.js";
import type { Party, PartyRole } from "../party/party.js";
import { live } from "../party/script.js";
import type { Simulator } from "../simulator.js";

/** Calls that one page may be in at a time; one more is refused. */
export const MAX_LINES = 16;
/** How often the page is told how calls stand, when something changed; ms. */
const TELL_MS = 100;
/** Audio that may wait for a page that does not read, bytes; beyond it audio is dropped. */
const MAX_WAITING_BYTES = 1024 * 1024;
const NUMBER = /^[+0-9*#]{0,32}$/;

/** A person's phone in one call. */
interface Line {
  readonly call: SimCall;
  readonly party: Party;
  readonly role: PartyRole;
  /** Told to the page: audio goes both ways. */
  open: boolean;
}

/** What a page asks for. */
type Wish =
  | { readonly do: "call"; readonly from: string; readonly to: string }
  | { readonly do: "pickUp" | "refuse" | "hangUp"; readonly call: string };

/**
 * A page with a person behind it: places calls, picks up and hangs up, with their audio. JSON one way and the other for
 * what happens; binary frames are a line's number (one byte) and s16le at the rate of its call. When the page is closed its
 * people hang up.
 * @internal
 */
export class PageConnection {
  readonly #socket: WebSocket;
  readonly #simulator: Simulator;
  readonly #lines = new Map<number, Line>();
  readonly #placed = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #told = "";

  constructor(socket: WebSocket, simulator: Simulator) {
    this.#socket = socket;
    this.#simulator = simulator;
    socket.on("error", () => socket.terminate());
    socket.on("message", (data, isBinary) => {
      if (isBinary) this.#audio(data as Buffer);
      else this.#wish((data as Buffer).toString());
    });
    socket.on("close", () => this.#close());
    this.#timer = setInterval(() => this.#tell(), TELL_MS);
    this.#timer.unref();
    this.#tell();
  }

  #wish(text: string): void {
    let wish: Wish | undefined;
    try {
      wish = JSON.parse(text) as Wish;
      this.#grant(wish);
      this.#tell();
    } catch (error) {
      const message = error instanceof Error ? error.message : "not understood";
      this.#send({ type: "refused", wish: wish?.do, message });
    }
  }

  #grant(wish: Wish): void {
    if (wish.do === "call") {
      for (const field of ["from", "to"] as const)
        if (typeof wish[field] !== "string" || !NUMBER.test(wish[field]))
          throw new Error(`${field}: digits, + * # only, at most 32`);
      this.#needLine();
      const call = this.#simulator.placeCall({
        from: wish.from,
        ...(wish.to ? { to: wish.to } : {}),
        caller: [live()],
      });
      this.#placed.add(call.id);
      this.#send({ type: "placed", call: call.id });
      this.#addLine(call, "caller");
      return;
    }
    const call = this.#simulator.calls.find(({ id }) => id === wish.call);
    if (!call) throw new Error("there is no such call");
    if (wish.do === "pickUp") {
      this.#needLine();
      if (!call.pickUp([live()])) throw new Error("its phone does not ring any more");
      this.#addLine(call, "callee");
    } else if (wish.do === "refuse") {
      if (call.ringing) call.hangUp("callee");
    } else if (wish.do === "hangUp") {
      const line = [...this.#lines.values()].find((one) => one.call === call);
      if (!line) throw new Error("nobody of this page is in that call");
      call.hangUp(line.role);
    } else throw new Error("not understood");
  }

  #needLine(): void {
    if (this.#lines.size >= MAX_LINES) throw new Error(`at most ${MAX_LINES} calls at a time`);
  }

  #addLine(call: SimCall, role: PartyRole): void {
    let number = 1;
    while (this.#lines.has(number)) number++;
    const party = role === "caller" ? call.caller : call.callee;
    const line: Line = { call, party, role, open: false };
    this.#lines.set(number, line);
    party.listen((frame) => {
      if (!line.open || this.#socket.bufferedAmount > MAX_WAITING_BYTES) return;
      const data = Buffer.alloc(1 + frame.byteLength);
      data[0] = number;
      data.set(new Uint8Array(frame.buffer, frame.byteOffset, frame.byteLength), 1);
      this.#socket.send(data, { binary: true });
    });
  }

  /** What the person says; a line that is not open, or bytes that are no samples, say nothing. */
  #audio(data: Buffer): void {
    const line = this.#lines.get(data[0] ?? 0);
    const rate = line?.call.sampleRate;
    if (!line?.open || rate === undefined || data.length < 3) return;
    const bytes = new Uint8Array((data.length - 1) & ~1);
    bytes.set(data.subarray(1, 1 + bytes.length));
    line.party.push(new Int16Array(bytes.buffer), rate);
  }

  #tell(): void {
    for (const [number, line] of this.#lines) {
      const { call, party, role } = line;
      const over = call.state === "DISCONNECTED" || party.state === "left";
      if (over) {
        party.listen(undefined);
        this.#lines.delete(number);
        this.#send({ type: "lineEnded", line: number });
      } else if (!line.open && party.state === "inCall" && call.sampleRate !== undefined) {
        line.open = true;
        this.#send({ type: "line", line: number, call: call.id, role, rate: call.sampleRate });
      }
    }
    const calls = this.#simulator.calls.map((call) => ({
      id: call.id,
      from: call.from,
      to: call.to,
      state: call.state,
      ringing: call.ringing,
      agentMode: call.agentMode,
      agentLeft: call.agentLeft,
      endReason: call.endReason ?? "",
      calleeHere: call.callee.state === "inCall",
      placedHere: this.#placed.has(call.id),
    }));
    const text = JSON.stringify({ type: "calls", calls });
    if (text === this.#told) return;
    this.#told = text;
    this.#socket.send(text);
  }

  #send(message: object): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #close(): void {
    clearInterval(this.#timer);
    for (const { call, party, role } of this.#lines.values()) {
      party.listen(undefined);
      call.hangUp(role);
    }
    this.#lines.clear();
  }
}
