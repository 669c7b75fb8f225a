import { type CallContext, ContextStatus, SummarySource } from "@callweave/proto/messages";
import { useEffect, useState } from "preact/hooks";
import { api } from "../app.js";
import { callPath, go } from "../model/route.js";
import { toMs } from "../model/time.js";
import { formats, t } from "../text/index.js";
import { Chip } from "./parts.js";
import { reasonOf } from "./words.js";

/** What a person reads first: the summary, large, and why the caller comes. */
export function Summary({
  context,
  problem,
}: {
  readonly context: CallContext | undefined;
  readonly problem: string;
}) {
  const source = context?.summarySource;
  return (
    <section class="summary card" aria-labelledby="summary-title">
      <h3 id="summary-title">{t("summary.title")}</h3>
      {context?.summary ? (
        <p class="summary-text" lang={context.locale || undefined} dir="auto">
          {context.summary}
        </p>
      ) : (
        <p class="hint">{problem === "" ? t("summary.none") : problemText(problem)}</p>
      )}
      <p class="summary-foot">
        {reasonOf(context) !== "" && <Chip tone="warn">{reasonOf(context)}</Chip>}
        {context?.routingHint && (
          <Chip>
            {t("facts.hint")}: {context.routingHint}
          </Chip>
        )}
        {context?.summary && source === SummarySource.MODEL && <small>{t("summary.model")}</small>}
        {context?.summary && source === SummarySource.RULES && <small>{t("summary.rules")}</small>}
      </p>
    </section>
  );
}

function problemText(problem: string): string {
  if (problem === "CONTEXT_NOT_FOUND") return t("context.none");
  if (problem === "PERMISSION_DENIED") return t("context.denied");
  return t("context.away");
}

/** Facts for programs, as a person reads them. */
export function Facts({ context }: { readonly context: CallContext | undefined }) {
  const entries = Object.entries((context?.data ?? {}) as Record<string, unknown>);
  return (
    <section class="card" aria-labelledby="facts-title">
      <h3 id="facts-title">{t("facts.title")}</h3>
      {entries.length === 0 ? (
        <p class="hint">{t("facts.none")}</p>
      ) : (
        <dl class="facts">
          {entries.map(([name, value]) => (
            <div key={name}>
              <dt>{name.replaceAll("_", " ")}</dt>
              <dd dir="auto">{typeof value === "object" ? JSON.stringify(value) : String(value)}</dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}

/** Whether this caller was here before, and what it was about. */
export function Earlier({ context }: { readonly context: CallContext | undefined }) {
  const [found, setFound] = useState<readonly CallContext[]>([]);
  const [partial, setPartial] = useState(false);
  const caller = context?.caller ?? "";
  const callId = context?.callId ?? "";
  useEffect(() => {
    setFound([]);
    if (caller === "") return;
    let gone = false;
    api.findContexts(caller).then(
      (answer) => {
        if (gone) return;
        setFound(answer.contexts.filter((one) => one.callId !== callId));
        setPartial(answer.partial);
      },
      () => {},
    );
    return () => {
      gone = true;
    };
  }, [caller, callId]);
  return (
    <section class="card" aria-labelledby="earlier-title">
      <h3 id="earlier-title">{t("earlier.title")}</h3>
      {found.length === 0 && <p class="hint">{t("earlier.none")}</p>}
      <ul class="plain">
        {found.map((one) => (
          <li key={one.callId}>
            <a
              href={callPath(one.callId)}
              class="earlier"
              onClick={(event) => {
                event.preventDefault();
                go(callPath(one.callId));
              }}
            >
              <time>{formats.value.day.format(toMs(one.createTime))}</time>
              <span>{one.summary || statusText(one.status)}</span>
              {one.outcome && <Chip tone="good">{one.outcome}</Chip>}
            </a>
          </li>
        ))}
      </ul>
      {partial && <p class="hint">{t("earlier.partial")}</p>}
    </section>
  );
}

function statusText(status: ContextStatus): string {
  if (status === ContextStatus.CALLBACK_WANTED) return t("missed.wanted");
  if (status === ContextStatus.ABANDONED) return t("missed.abandoned");
  return "…";
}
