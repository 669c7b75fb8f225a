import { type AuditEntry, AuditKind, type CallEvent } from "@callweave/proto/messages";
import { useEffect, useState } from "preact/hooks";
import { api } from "../app.js";
import type { History } from "../model/history.js";
import { toMs } from "../model/time.js";
import { formats, t, tFor } from "../text/index.js";
import { Empty } from "./parts.js";
import { VirtualList } from "./virtual-list.js";
import { actorName, eventText, isAudit } from "./words.js";

/** Everything that happened to a call, or only who did what. */
export function Timeline({ history, auditOnly }: { readonly history: History; readonly auditOnly: boolean }) {
  const events = history.events.value.filter(
    (event) => eventText(event) !== "" && (!auditOnly || isAudit(event)),
  );
  const title = auditOnly ? t("audit.title") : t("timeline.title");
  return (
    <div class="timeline">
      <VirtualList
        items={events}
        keyOf={(event) => `${event.sequence}.${event.ownerEpoch}`}
        estimate={38}
        label={title}
        stickToEnd
        empty={<Empty icon="note">{history.complete.value ? t("audit.none") : t("timeline.reading")}</Empty>}
        row={(event) => <EventRow event={event} />}
      />
    </div>
  );
}

/** Who listened, read and took the seat, as the gateway wrote it down; for whom the key allows it. */
export function AuditList({ callId }: { readonly callId: string }) {
  const [entries, setEntries] = useState<readonly AuditEntry[]>([]);
  useEffect(() => {
    let gone = false;
    api.audit(callId).then(
      (answer) => gone || setEntries(answer.entries),
      () => {},
    );
    return () => {
      gone = true;
    };
  }, [callId]);
  if (entries.length === 0) return null;
  return (
    <section class="card audit" aria-labelledby="audit-title">
      <h3 id="audit-title">{t("audit.log")}</h3>
      <ul class="plain">
        {entries.map((entry) => (
          <li class="event" key={`${entry.gatewayId}${entry.sequence}`}>
            <time>{formats.value.time.format(toMs(entry.time))}</time>
            <span>
              {actorName(entry.actor)}: {tFor("auditKind", AuditKind[entry.kind])}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

const TONES: Readonly<Record<string, string>> = {
  arrived: "accent",
  answered: "good",
  connected: "good",
  escalation: "warn",
  ended: "plain",
  seatChanged: "accent",
};

function EventRow({ event }: { readonly event: CallEvent }) {
  const ms = toMs(event.time);
  return (
    <div class={`event tone-edge-${TONES[event.event?.$case ?? ""] ?? "none"}`}>
      <time dateTime={new Date(ms).toISOString()}>{formats.value.time.format(ms)}</time>
      <span dir="auto">{eventText(event)}</span>
    </div>
  );
}
