import { REASON_STATUS, type Reason } from "../../gateway/src/call/call-error.js";
import { enumValues } from "./proto-comments.js";

/** What a client does about each reason. The compiler wants one for each. */
const TO_DO: { readonly [r in Reason]: string } = {
  INVALID_FIELD: "Correct the field; a repetition is refused the same way.",
  CALL_NOT_FOUND:
    "The id is wrong, of another tenant, or the call ended more than 10 minutes ago. Its events and its context may still be there.",
  CALL_STATE: "Look at `state` and `allowed`; read the call again before you decide.",
  REQUEST_ID_REUSED: "Use a new UUID for each command; the same one only to repeat the very same command.",
  PENDING_COMMAND:
    "Wait for its `CommandDone`, or cancel it with `CancelCommand` while it has had no effect.",
  CALLEE_UNANSWERED: "You still have the call: say so, try again, or take a message.",
  OUTCOME_UNKNOWN:
    "Do not repeat it. Wait for the next event of the call: it tells what became of it. If none comes, ask with `GetCall`.",
  PROVIDER_REFUSED: "Look at `provider_code`. The call is as it was.",
  PROVIDER_UNAVAILABLE: "Wait for `MediaChanged` RESTORED or for the end of the call, then decide.",
  AFTER_DEADLINE:
    "The audio was not played in time or the mark never came. Give the command again without `after`, or with a longer `deadline`.",
  COMMAND_CANCELLED: "Look at `cause`: CANCELLED, INTERRUPTED, CALL_ENDED, HOLDER_LOST or DISCONNECT.",
  COMMAND_NOT_FOUND: "It is finished, has had its effect already (ringing cannot be stopped), or never was.",
  STALE_HANDLE: "Forget the handle: `Unassigned` or a new `Assigned` is on its way or was sent.",
  SEAT_TAKEN: "Forget the call; it is somebody else's now.",
  SEAT_NOT_HELD: "Nobody holds the seat that the verb needs; look at `Call.seat`.",
  OFFER_GONE: "Nothing: somebody was faster, the time was over or the caller hung up.",
  TRANSFER_UNANSWERED: "You still have the call: tell the caller, or try another pool.",
  PLAYBACK_FULL: "Send less ahead: wait for `PlaybackProgress` or a mark, then send the item again.",
  NOT_REGISTERED: "Begin each stream with `Register`, `Join` or `Reattach`, within 10 s.",
  SESSION_NOT_FOUND: "Register anew; the grace is over or the gateway was restarted.",
  SUPERSEDED: "Another process has this `instance_id`. Give each process its own, or end.",
  HEARTBEAT_LOST: "Your process was frozen or too busy. Open a new stream and `Reattach`.",
  STREAM_QUEUE_FULL: "Read faster; open a new stream and `Reattach`, events are sent again.",
  POOL_NOT_FOUND: "Name a pool of the configuration (`FleetService.ListPools`).",
  AGENT_NOT_FOUND: "The process is gone; name a pool instead.",
  CURSOR_EXPIRED: "`ListCalls` again and watch from its cursor, or from `oldest`.",
  CONTEXT_NOT_FOUND: "Nothing was written for this call, it was deleted, or its time was over.",
  REVISION_CONFLICT: "Read the context again, apply your change to what is there now, write again.",
  CONTEXT_NOT_SAVED:
    "Repeat the same write: turns are told apart by id. With `why` refused it has to be smaller; see [contexts.md](contexts.md). The gateway's log has the cause.",
  UNAUTHENTICATED:
    "Send `authorization: Bearer <key>` with a key of the configuration; `expired`: with a fresh token.",
  LIMIT_REACHED:
    "Look at `limit` and `max`; do less at a time, or raise it in the configuration where it has a key.",
  GOING_AWAY: "Connect to another gateway, or to this one when it is back.",
  INTERNAL: "An error of the gateway: report it with the lines of its log that have the `error_id`.",
  CALL_OWNER_AWAY:
    "Try again, a command with the same request_id; the call goes on meanwhile, and another gateway takes it over if its own is dead.",
  CONTEXT_STORE_AWAY: "Ask again later; what was written since the store went away is readable.",
  PERMISSION_DENIED:
    "Look at `scope`: the credential needs it, for the pool and connector of the call. Roles and scopes: [security.md](security.md).",
};

/** Every reason: status, meaning, metadata, what to do. Throws when the contract and the gateway differ. */
export function errorReasons(): string {
  const values = enumValues("error.proto", "ErrorReason");
  const names = new Set<string>(values.map((value) => value.name));
  const reasons = Object.keys(REASON_STATUS);
  const odd = [...reasons.filter((r) => !names.has(r)), ...[...names].filter((n) => !(n in REASON_STATUS))];
  if (odd.length > 0) throw new Error(`reasons not in both contract and gateway: ${odd.join(", ")}`);
  return values.map(({ name, lines }) => section(name as Reason, lines)).join("\n\n");
}

function section(reason: Reason, lines: readonly string[]): string {
  const sample = lines.at(-1) ?? "";
  const text = lines.slice(0, -1).join(" ");
  const status = REASON_STATUS[reason];
  if (!text.endsWith(`${status}.`)) throw new Error(`error.proto: ${reason} must end with ${status}.`);
  if (!sample.startsWith("{")) throw new Error(`error.proto: ${reason} shows no metadata`);
  const meaning = text.slice(0, -status.length - 1).trim();
  const keys = Object.keys(JSON.parse(sample) as object);
  return [
    `### ${reason}`,
    "",
    `\`${status}\`. ${meaning}`,
    "",
    keys.length === 0 ? "No metadata." : `Metadata: \`${sample}\``,
    "",
    `**What to do:** ${TO_DO[reason]}`,
  ].join("\n");
}
