import type { CallEvent } from "@callweave/proto/messages";
import type { History } from "../model/history.js";
import { toMs } from "../model/time.js";
import { formats, t } from "../text/index.js";
import { Empty } from "./parts.js";
import { VirtualList } from "./virtual-list.js";
import { eventText, isAudit } from "./words.js";

/** Everything that happened to a call, or only who did what. */
export function Timeline({ history, auditOnly }: { readonly history: History; readonly auditOnly: boolean }) {
  const events = history.events.value.filter(
    (event) => eventText(event) !== "" && (!auditOnly || isAudit(event)),
  );
  const title = auditOnly ? t("audit.title") : t("timeline.title");
  return (
    <section class="timeline" aria-label={title}>
      <VirtualList
        items={events}
        keyOf={(event) => `${event.sequence}.${event.ownerEpoch}`}
        estimate={38}
        label={title}
        stickToEnd
        empty={<Empty icon="note">{history.complete.value ? t("audit.none") : t("timeline.reading")}</Empty>}
        row={(event) => <EventRow event={event} />}
      />
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
