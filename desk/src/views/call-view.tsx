import { type CallContext, CallState, EndReason, SeatCause } from "@callweave/proto/messages";
import { useEffect, useMemo, useState } from "preact/hooks";
import { api, calls, connection, contexts, may, person, seat } from "../app.js";
import type { CallEntry } from "../model/call-entry.js";
import { isOver } from "../model/call-entry.js";
import { History } from "../model/history.js";
import { callPath, go, route } from "../model/route.js";
import { toMs } from "../model/time.js";
import { formats, phone, t, tFor } from "../text/index.js";
import { Actions } from "./actions.js";
import { useKey } from "./keys.js";
import { Button, Chip } from "./parts.js";
import { Clock } from "./queue.js";
import { Earlier, Facts, Summary } from "./record.js";
import { SoundStrip } from "./sound-strip.js";
import { AuditList, Timeline } from "./timeline.js";
import { Transcript } from "./transcript.js";
import { actorName, holderOf, stateOf, toneOf } from "./words.js";
import { Notes, Outcome } from "./writing.js";

type Tab = "talk" | "timeline" | "audit";

/** Everything about one call: before it comes, while it lasts, and afterwards. */
export function CallView({ callId }: { readonly callId: string }) {
  const opened = useMemo(() => contexts.open(callId), [callId]);
  const history = useMemo(() => new History(connection, api, callId), [callId]);
  const [tab, setTab] = useState<Tab>("talk");
  useEffect(() => () => opened.close(), [opened]);
  useEffect(() => () => history.close(), [history]);
  useEffect(() => setTab("talk"), [callId]);
  useKey("Escape", () => go("/calls"));

  const entry = merged(calls.get(callId), history.entry.value);
  const context = opened.context.value ?? contexts.head(callId);
  const problem = opened.problem.value;
  const noteId = `note-${callId}`;
  const over = entry === undefined || isOver(entry);
  useKey("n", over ? () => document.getElementById(noteId)?.focus() : undefined);

  return (
    <article class="call" aria-labelledby="call-title">
      <Header callId={callId} entry={entry} context={context} />
      {entry && <LostNotice callId={callId} />}
      {entry && isOver(entry) && (
        <p class="banner calm" role="status">
          {entry.call.endReason === EndReason.LEFT_TO_PARTIES ? t("left.text") : t("ended.text")}
        </p>
      )}
      {entry && <Actions entry={entry} />}
      <NotesToMe callId={callId} />
      <SoundStrip callId={callId} />
      <Summary context={context} problem={problem} />
      <Tabs tab={tab} choose={setTab} />
      <div class="call-body" role="tabpanel" id={`panel-${tab}`} aria-labelledby={`tab-${tab}`}>
        {tab === "talk" ? (
          <>
            <Transcript context={context} />
            <div class="side">
              {!over && <Known context={context} />}
              {context && <Outcome key={callId} context={context} />}
              {context && <Notes key={`notes-${callId}`} context={context} inputId={noteId} />}
              {over && <Known context={context} />}
            </div>
          </>
        ) : (
          <>
            {tab === "audit" && <AuditList callId={callId} />}
            <Timeline history={history} auditOnly={tab === "audit"} />
          </>
        )}
      </div>
    </article>
  );
}

/** What is known beside the words: read before a call, looked up after it. */
function Known({ context }: { readonly context: CallContext | undefined }) {
  return (
    <>
      <Facts context={context} />
      <Earlier context={context} />
    </>
  );
}

/** The list knows the call as it is, its history also what happened before this page was opened. */
function merged(listed: CallEntry | undefined, told: CallEntry | undefined): CallEntry | undefined {
  if (!listed || !told) return listed ?? told;
  const escalation = listed.escalation?.plan ? listed.escalation : listed.escalation && told.escalation;
  const ringing = listed.ringing || (!isOver(listed) && told.ringing);
  return { ...listed, ringing, ...(escalation && { escalation }) };
}

function Tabs({ tab, choose }: { readonly tab: Tab; readonly choose: (tab: Tab) => void }) {
  const tabs: readonly Tab[] = ["talk", "timeline", "audit"];
  const move = (step: number) => {
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length] as Tab;
    choose(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={t("tabs.label")}>
      {tabs.map((one) => (
        <button
          key={one}
          id={`tab-${one}`}
          type="button"
          role="tab"
          aria-selected={one === tab}
          aria-controls={one === tab ? `panel-${one}` : undefined}
          tabIndex={one === tab ? 0 : -1}
          onClick={() => choose(one)}
          onKeyDown={({ key }) => {
            if (key === "ArrowRight") move(1);
            if (key === "ArrowLeft") move(-1);
          }}
        >
          {t(`tab.${one}`)}
        </button>
      ))}
    </div>
  );
}

function Header(props: {
  readonly callId: string;
  readonly entry: CallEntry | undefined;
  readonly context: CallContext | undefined;
}) {
  const { callId, entry, context } = props;
  const [shown, setShown] = useState(false);
  const [copied, setCopied] = useState(false);
  useEffect(() => setShown(false), [callId]);
  const caller = entry?.call.caller ?? context?.caller ?? "";
  const call = entry?.call;
  const holder = call ? holderOf(call) : "";
  const mine = seat.held.value?.callId === callId;
  const at = route.value;
  const copy = () => {
    navigator.clipboard?.writeText(`${location.origin}${callPath(callId)}`).then(
      () => setCopied(true),
      () => {},
    );
  };
  return (
    <header class="call-head">
      <Button
        class="narrow-only"
        kind="quiet"
        icon="back"
        onClick={() => go(at.view === "missed" ? "/missed" : "/calls")}
      >
        {t("back")}
      </Button>
      <div class="call-who">
        <h2 id="call-title" class="number" tabIndex={-1}>
          {phone(caller, !shown)}
        </h2>
        {caller !== "" && !shown && may("context:read") && (
          <button type="button" class="link" onClick={() => setShown(true)}>
            {t("caller.show")}
          </button>
        )}
        {entry && <Chip tone={toneOf(entry)}>{stateOf(entry)}</Chip>}
        {entry && <Clock entry={entry} />}
        <Button kind="quiet" icon={copied ? "check" : "link"} onClick={copy}>
          {copied ? t("link.copied") : t("link.copy")}
        </Button>
      </div>
      <dl class="head-facts">
        {call && call.state !== CallState.DISCONNECTED && (
          <div>
            <dt>{t("seat.holder")}</dt>
            <dd>{mine ? `${t("seat.you")} (${person.value.name})` : holder || t("seat.nobody")}</dd>
          </div>
        )}
        <div>
          <dt>{t("fact.called")}</dt>
          <dd>{phone(call?.callee ?? context?.callee ?? "", false)}</dd>
        </div>
        {call && (
          <div>
            <dt>{t("fact.pool")}</dt>
            <dd>{call.pool}</dd>
          </div>
        )}
        {(call?.locale || context?.locale) && (
          <div>
            <dt>{t("fact.language")}</dt>
            <dd>{call?.locale || context?.locale}</dd>
          </div>
        )}
        <div>
          <dt>{t("fact.since")}</dt>
          <dd>{formats.value.day.format(toMs(call?.createTime ?? context?.createTime) || Date.now())}</dd>
        </div>
      </dl>
    </header>
  );
}

/** What a supervisor wrote to this person, who has the seat. */
function NotesToMe({ callId }: { readonly callId: string }) {
  const notes = seat.notes.value;
  if (seat.held.value?.callId !== callId || notes.length === 0) return null;
  return (
    <ul class="plain banner calm notes-to-me" aria-live="assertive" aria-label={t("notes.toYou")}>
      {notes.map((note) => (
        <li key={`${note.at.getTime()}${note.text}`} dir="auto">
          {actorName(note.author)}: {note.text}
        </li>
      ))}
    </ul>
  );
}

/** The seat went away: by whom or why. */
function LostNotice({ callId }: { readonly callId: string }) {
  const lost = seat.lost.value;
  if (lost?.callId !== callId) return null;
  const cause = lost.cause === "connection" ? "connection" : SeatCause[lost.cause];
  // Said by the state of the call already.
  if (cause === "CALL_ENDED") return null;
  const text = tFor("lost", cause);
  return (
    <p class="banner warn" role="alert">
      {text === cause ? t("lost.other") : text}
    </p>
  );
}
