import { type CallContext, type Turn, TurnRole } from "@callweave/proto/messages";
import { toMs } from "../model/time.js";
import { formats, t } from "../text/index.js";
import { Empty } from "./parts.js";
import { VirtualList } from "./virtual-list.js";
import { roleOf } from "./words.js";

/** What was said, as it is said: who, what, when, and what was cut off. */
export function Transcript({ context }: { readonly context: CallContext | undefined }) {
  const turns = context?.turns ?? [];
  // Only the newest is read aloud: the rows of the list come and go as one scrolls.
  const newest = turns.at(-1);
  return (
    <div class="transcript">
      <h3>
        {t("turns.title")} {turns.length > 0 && <span class="count">{turns.length}</span>}
      </h3>
      {context?.truncated && <p class="hint">{t("turns.truncated")}</p>}
      {context?.consent && !context.consent.transcript && <p class="hint">{t("facts.consent.no")}</p>}
      <p class="visually-hidden" aria-live="polite">
        {newest && `${roleOf(newest.role)}: ${newest.text}`}
      </p>
      <VirtualList
        items={turns}
        keyOf={({ id }) => id}
        estimate={72}
        label={t("turns.title")}
        stickToEnd
        empty={<Empty icon="note">{t("turns.none")}</Empty>}
        row={(turn) => <TurnRow turn={turn} />}
      />
    </div>
  );
}

const SIDES: Readonly<Record<number, string>> = {
  [TurnRole.CALLER]: "caller",
  [TurnRole.AI]: "ai",
  [TurnRole.SPECIALIST]: "specialist",
};

function TurnRow({ turn }: { readonly turn: Turn }) {
  const heardMs = toMs(turn.time);
  return (
    <div class={`turn from-${SIDES[turn.role] ?? "ai"}`}>
      <div class="turn-head">
        <strong>{roleOf(turn.role)}</strong>
        {heardMs > 0 && (
          <time dateTime={new Date(heardMs).toISOString()}>{formats.value.time.format(heardMs)}</time>
        )}
      </div>
      <p class="turn-text" lang={turn.locale || undefined} dir="auto">
        <Said turn={turn} />
      </p>
    </div>
  );
}

/** An AI turn that was cut off: what the caller heard, then what the caller did not. */
function Said({ turn: { text, heard, interrupted } }: { readonly turn: Turn }) {
  if (!interrupted && heard === "") return <>{text}</>;
  const told = heard === "…" ? "" : heard.replace(/…$/, "").trimEnd();
  const rest = text.startsWith(told) ? text.slice(told.length) : "";
  return (
    <>
      {rest === "" && told === "" ? text : told}
      <span class="cut">
        {" ✂ "}
        {t("turns.interrupted")}
      </span>
      {rest.trim() !== "" && (
        <s class="unheard" title={t("turns.unheard")}>
          <span class="visually-hidden">{t("turns.unheard")}: </span>
          {rest}
        </s>
      )}
    </>
  );
}
