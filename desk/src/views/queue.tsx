import type { CallContext } from "@callweave/proto/messages";
import { calls, contexts, person, seat } from "../app.js";
import { type CallEntry, isOver } from "../model/call-entry.js";
import { callPath, go, route } from "../model/route.js";
import { now, toMs } from "../model/time.js";
import { duration, phone, t } from "../text/index.js";
import { useKey } from "./keys.js";
import { Chip, Empty, Icon } from "./parts.js";
import { VirtualList } from "./virtual-list.js";
import { holderOf, reasonOf, stateOf, toneOf } from "./words.js";

type Row =
  | { readonly kind: "title"; readonly key: string; readonly text: string; readonly count: number }
  | { readonly kind: "call"; readonly key: string; readonly entry: CallEntry };

function rowsOf(): Row[] {
  const parts = [
    { key: "#waiting", text: t("queue.waiting"), entries: calls.waiting() },
    { key: "#live", text: t("queue.live"), entries: calls.talking() },
    { key: "#ended", text: t("queue.ended"), entries: calls.ended() },
  ];
  return parts.flatMap(({ key, text, entries }): Row[] =>
    entries.length === 0
      ? []
      : [
          { kind: "title", key, text, count: entries.length },
          ...entries.map((entry): Row => ({ kind: "call", key: entry.call.callId, entry })),
        ],
  );
}

/** All calls: who waits, longest first; who talks; what has just ended. */
export function Queue() {
  const at = route.value;
  const chosen = at.view === "calls" ? at.callId : "";
  const rows = rowsOf();
  const move = (step: number) => {
    const ids = rows.filter(({ kind }) => kind === "call").map(({ key }) => key);
    const index = ids.indexOf(chosen);
    const next = ids[index < 0 ? 0 : Math.min(ids.length - 1, Math.max(0, index + step))];
    if (next) go(callPath(next));
  };
  useKey("j", () => move(1));
  useKey("ArrowDown", () => move(1));
  useKey("k", () => move(-1));
  useKey("ArrowUp", () => move(-1));
  return (
    <VirtualList
      class="queue"
      label={t("queue.label")}
      items={rows}
      keyOf={({ key }) => key}
      estimate={92}
      reveal={chosen === "" ? undefined : chosen}
      empty={<Empty icon="headset">{t("queue.empty")}</Empty>}
      row={(row) =>
        row.kind === "title" ? (
          <h2 class="queue-title">
            {row.text} <span class="count">{row.count}</span>
          </h2>
        ) : (
          <QueueRow entry={row.entry} chosen={row.key === chosen} />
        )
      }
    />
  );
}

function QueueRow({ entry, chosen }: { readonly entry: CallEntry; readonly chosen: boolean }) {
  const { call, waitingSinceMs } = entry;
  const context = contexts.head(call.callId);
  const path = callPath(call.callId);
  const holder = holderOf(call);
  const mine = seat.held.value?.callId === call.callId;
  return (
    <a
      href={path}
      class={`card call-row tone-edge-${toneOf(entry)} ${chosen ? "chosen" : ""}`}
      aria-current={chosen ? "page" : undefined}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        go(path);
      }}
    >
      <span class="row-top">
        <strong class="number">{phone(call.caller, true)}</strong>
        <Clock entry={entry} />
      </span>
      <span class="row-chips">
        <Chip tone={toneOf(entry)}>{stateOf(entry)}</Chip>
        <Reason context={context} />
        {mine && (
          <Chip tone="accent">
            <Icon name="mic" /> {t("seat.you")}
          </Chip>
        )}
      </span>
      <span class="row-summary">{context?.summary || " "}</span>
      <span class="row-meta">
        {[
          call.pool,
          call.locale,
          holder !== "" && holder !== person.value.name && !isOver(entry)
            ? t("queue.with", { name: holder })
            : "",
        ]
          .filter((text) => text !== "")
          .join(" · ")}
        {waitingSinceMs !== undefined && <span class="visually-hidden"> {t("state.waiting")}</span>}
      </span>
    </a>
  );
}

function Reason({ context }: { readonly context: CallContext | undefined }) {
  const reason = reasonOf(context);
  return reason === "" ? null : <Chip>{reason}</Chip>;
}

/** How long the caller waits, or has been on the phone. */
export function Clock({ entry }: { readonly entry: CallEntry }) {
  const { call, waitingSinceMs } = entry;
  const fromMs = waitingSinceMs ?? toMs(call.createTime);
  const untilMs = isOver(entry) ? toMs(call.endTime) : now.value;
  const text = duration(untilMs - fromMs);
  return (
    <span class={`clock ${waitingSinceMs === undefined ? "" : "waits"}`}>
      {waitingSinceMs === undefined ? text : t("queue.waits", { time: text })}
    </span>
  );
}
