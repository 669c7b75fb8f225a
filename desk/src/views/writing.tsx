import { type CallContext, ContextStatus } from "@callweave/proto/messages";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, contexts } from "../app.js";
import { isMissed } from "../model/contexts.js";
import { toMs } from "../model/time.js";
import { formats, t, tFor } from "../text/index.js";
import { WireError } from "../wire/connection.js";
import { Button } from "./parts.js";
import { actorName } from "./words.js";

/** A refusal in words. */
export function refusalText(error: unknown): string {
  if (!(error instanceof WireError)) return String(error);
  const text = tFor("refused", error.reason);
  return text === error.reason ? error.message : text;
}

/** The outcome, written only over the revision that was read; what somebody else wrote meanwhile is shown and kept. */
export function Outcome({ context }: { readonly context: CallContext }) {
  const [text, setText] = useState(context.outcome);
  const [base, setBase] = useState({ outcome: context.outcome, revision: context.revision });
  const [theirs, setTheirs] = useState<CallContext | undefined>();
  const [told, setTold] = useState("");
  const dirty = text !== base.outcome;

  useEffect(() => {
    // Not touched here: what others write is simply shown.
    if (dirty || theirs) return;
    setText(context.outcome);
    setBase({ outcome: context.outcome, revision: context.revision });
  }, [context.outcome, context.revision]);

  const save = async (outcome: string, revision: number, note = "") => {
    setTold("");
    try {
      const closes = isMissed(context) && outcome !== "";
      const changes = { callId: context.callId, outcome, ...(closes && { status: ContextStatus.ENDED }) };
      const paths = closes ? ["outcome", "status"] : ["outcome"];
      const { context: after } = await api.updateContext(changes, paths, revision, note);
      if (after) contexts.put(after);
      setText(outcome);
      setBase({ outcome, revision: after?.revision ?? revision });
      setTheirs(undefined);
      setTold(t("outcome.saved"));
    } catch (error) {
      if (!(error instanceof WireError) || error.reason !== "REVISION_CONFLICT") {
        setTold(refusalText(error));
        return;
      }
      const { context: newest } = await api.getContext(context.callId);
      if (!newest) return;
      // Somebody changed something else: nothing of this is touched by it.
      if (newest.outcome === base.outcome) await save(outcome, newest.revision, note);
      else setTheirs(newest);
    }
  };

  return (
    <section class="card outcome" aria-labelledby="outcome-title">
      <h3 id="outcome-title">{t("outcome.title")}</h3>
      {theirs ? (
        <div class="conflict" role="alert">
          <p>{t("conflict.title")}</p>
          <dl class="facts">
            <div>
              <dt>{t("conflict.theirs")}</dt>
              <dd>{theirs.outcome}</dd>
            </div>
            <div>
              <dt>{t("conflict.yours")}</dt>
              <dd>{text}</dd>
            </div>
          </dl>
          <Button onClick={() => save(theirs.outcome, theirs.revision, text)}>
            {t("conflict.takeTheirs")}
          </Button>
          <Button onClick={() => save(text, theirs.revision, theirs.outcome)}>
            {t("conflict.keepMine")}
          </Button>
        </div>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void save(text.trim(), base.revision);
          }}
        >
          <input
            name="outcome"
            aria-labelledby="outcome-title"
            maxLength={500}
            value={text}
            placeholder={t("outcome.placeholder")}
            onInput={({ currentTarget }) => setText(currentTarget.value)}
          />
          <div class="row">
            {(["outcome.solved", "outcome.calledBack", "outcome.notReached"] as const).map((key) => (
              <button
                key={key}
                type="button"
                class="chip pick"
                onClick={() => void save(t(key), base.revision)}
              >
                {t(key)}
              </button>
            ))}
            {dirty && (
              <Button kind="primary" type="submit">
                {t("save")}
              </Button>
            )}
          </div>
        </form>
      )}
      <p class="told" aria-live="polite">
        {told}
      </p>
      {context.conflicts.map((one) => (
        <p class="hint" key={`${one.field}${toMs(one.time)}`}>
          {t("conflict.stored")}: {one.field}: {one.value}
        </p>
      ))}
    </section>
  );
}

/** Notes of people on a call. Adding one never conflicts with anybody. */
export function Notes({ context, inputId }: { readonly context: CallContext; readonly inputId: string }) {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const form = useRef<HTMLFormElement>(null);
  const add = async () => {
    const note = text.trim();
    if (note === "") return;
    try {
      const { context: after } = await api.updateContext({ callId: context.callId }, [], 0, note);
      if (after) contexts.put(after);
      setText("");
      setProblem("");
    } catch (error) {
      // What was written stays where it is.
      setProblem(refusalText(error));
    }
  };
  return (
    <section class="card" aria-labelledby="notes-title">
      <h3 id="notes-title">{t("notes.title")}</h3>
      {context.notes.length === 0 && <p class="hint">{t("notes.none")}</p>}
      <ul class="plain notes">
        {context.notes.map((note) => (
          <li key={`${toMs(note.time)}${note.text}`}>
            <p dir="auto">{note.text}</p>
            <small>
              {actorName(note.author)}, {formats.value.day.format(toMs(note.time))}
            </small>
          </li>
        ))}
      </ul>
      <form
        ref={form}
        onSubmit={(event) => {
          event.preventDefault();
          void add();
        }}
      >
        <textarea
          id={inputId}
          rows={2}
          maxLength={2_000}
          aria-label={t("notes.add")}
          placeholder={t("notes.placeholder")}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.current?.requestSubmit();
          }}
        />
        <Button icon="note" type="submit" disabled={text.trim() === ""}>
          {t("notes.add")}
        </Button>
      </form>
      <p class="told" aria-live="polite">
        {problem}
      </p>
    </section>
  );
}
