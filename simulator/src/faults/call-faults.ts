import { FRAME_MS } from "../audio/mix.js";
import type { CallAudio } from "../call-audio.js";
import type { CommandFault } from "../call-types.js";
import type { CommandDesk } from "../command-desk.js";
import type { MediaSocket } from "../plane/media-link.js";
import type { CommandName } from "../plane/messages.js";

/** What {@link CallFaults} acts on. @internal */
export interface CallFaultTarget {
  now(): number;
  later(run: () => void, delayMs: number): void;
  media(): MediaSocket | undefined;
  readonly desk: CommandDesk;
  readonly audio: CallAudio;
  setTerminatedDelay(ms: number): void;
  log(type: string, data: unknown): void;
}

/** Frames that should not be, by name; see {@link CallFaults.sendMalformed}. */
export const MALFORMED_MEDIA = {
  not_json: '{"type": "call_event", "data": {',
  not_object: "[1, 2, 3]",
  no_type: '{"data": {"event": "call.terminated"}}',
  unknown_type: '{"type": "weather_report", "data": {"sky": "blue"}}',
  unknown_event: '{"type": "call_event", "data": {"event": "call.sneezed"}}',
  event_without_data: '{"type": "call_event"}',
  wrong_field_types: '{"type": "buffer_request", "data": {"requested_bytes": "many", "channelId": {}}}',
  negative_request: '{"type": "buffer_request", "data": {"requested_bytes": -960, "channelId": 0}}',
  huge_request: '{"type": "buffer_request", "data": {"requested_bytes": 1e15, "channelId": 0}}',
  other_channel_request: '{"type": "buffer_request", "data": {"requested_bytes": 960, "channelId": 2}}',
  unknown_response: '{"type": "command_response", "data": {"command_id": "unknown", "success": true}}',
  proto_keys: '{"type": "call_event", "__proto__": {"x": 1}, "data": {"event": "constructor"}}',
  deep: `{"type": "call_event", "data": ${'{"a":'.repeat(2000)}1${"}".repeat(2000)}}`,
  binary_empty: Buffer.alloc(0),
  binary_one_byte: Buffer.from([0]),
  binary_odd: Buffer.from([0, 1, 2, 3]),
  binary_wrong_channel: Buffer.concat([Buffer.from([9]), Buffer.alloc(640)]),
  binary_oversize: Buffer.alloc(1 + 1024 * 1024),
  text_oversize: `{"type": "call_event", "data": {"event": "${"x".repeat(1024 * 1024)}"}}`,
} as const satisfies Record<string, string | Buffer>;

/** Name of a malformed frame. */
export type MalformedMedia = keyof typeof MALFORMED_MEDIA;

/** Faults of one call's media connection, on demand. */
export class CallFaults {
  readonly #target: CallFaultTarget;
  #duplicates = 0;
  #heldBack: string[] = [];
  #reorderLeft = 0;

  /** @internal */
  constructor(target: CallFaultTarget) {
    this.#target = target;
  }

  /** Drops the media connection: with a close code (default 1011), or abruptly (TCP reset, no close frame). */
  dropMedia(how: { readonly code?: number; readonly abrupt?: boolean } = {}): void {
    this.#target.log("fault.drop_media", how);
    const media = this.#target.media();
    if (how.abrupt) media?.terminate();
    else media?.close(how.code ?? 1011, "fault on demand");
  }

  /** The media connection stays open, but nothing is read or sent on it for so long, ms: not even a pong. */
  freezeMedia(forMs: number): void {
    this.#target.log("fault.freeze_media", { forMs });
    const media = this.#target.media();
    media?.freeze(true);
    this.#target.later(() => media?.freeze(false), forMs);
  }

  /** Delays, swallows, repeats or refuses the answer of commands to come. */
  onCommand(fault: CommandFault): void {
    this.#target.desk.addFault(fault);
  }

  /** The next answer to `command` (default: any) never comes, though it takes effect. */
  swallowResponse(command?: CommandName): void {
    this.onCommand({ ...(command ? { command } : {}), swallow: true });
  }

  /** The next answer to `command` comes `delayMs` late; beyond its timeout it becomes TIMEOUT. */
  delayResponse(delayMs: number, command?: CommandName): void {
    this.onCommand({ ...(command ? { command } : {}), delayMs });
  }

  /** No `buffer_request` for so long, ms. What was asked for stays asked for. */
  stallCredit(forMs: number): void {
    this.#target.log("fault.stall_credit", { forMs });
    this.#target.audio.playout?.stallUntil(this.#target.now() + forMs);
  }

  /** Sends so many ms of extra audio to the agent at once. */
  floodAudio(ms: number): void {
    this.#target.log("fault.flood_audio", { ms });
    this.#target.audio.flood(Math.ceil(ms / FRAME_MS));
  }

  /** `call.terminated` and the closing of the media connection come this much after the call's end, ms. */
  delayTerminated(delayMs: number): void {
    this.#target.setTerminatedDelay(delayMs);
  }

  /** Each of the next `count` text frames except `buffer_request` is sent twice. */
  duplicateEvents(count = 1): void {
    this.#duplicates += count;
  }

  /** The next `count` text frames except `buffer_request` are held back and sent in reverse order after the last. */
  reorderEvents(count = 2): void {
    this.#reorderLeft = count;
  }

  /** Sends raw bytes (a Buffer: as a binary frame) or raw text to the agent. */
  sendRaw(data: Buffer | string): void {
    this.#target.log("fault.raw", { bytes: data.length });
    this.#target.media()?.send(data);
  }

  /** Sends one of the malformed frames of {@link MALFORMED_MEDIA}. */
  sendMalformed(kind: MalformedMedia): void {
    this.#target.log("fault.malformed", { kind });
    this.#target.media()?.send(MALFORMED_MEDIA[kind]);
  }

  /** Applies the faults to an outgoing text frame. @internal */
  outgoing(text: string, type: string): readonly string[] {
    if (type === "buffer_request") return [text];
    if (this.#reorderLeft > 0) {
      this.#heldBack.unshift(text);
      this.#reorderLeft -= 1;
      if (this.#reorderLeft > 0) return [];
      const all = this.#heldBack;
      this.#heldBack = [];
      return all;
    }
    if (this.#duplicates > 0) {
      this.#duplicates -= 1;
      return [text, text];
    }
    return [text];
  }
}
