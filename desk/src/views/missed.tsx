import { type CallContext, ContextStatus } from "@callweave/proto/messages";
import { useState } from "preact/hooks";
import { api, contexts } from "../app.js";
import { callPath, go, route } from "../model/route.js";
import { now, toMs } from "../model/time.js";
import { duration, phone, t } from "../text/index.js";
import { useKey } from "./keys.js";
import { Button, Chip, Empty } from "./parts.js";
import { VirtualList } from "./virtual-list.js";
import { reasonOf } from "./words.js";
import { refusalText } from "./writing.js";

/** Callers for whom nobody was there, the oldest first. */
export function Missed() {
  const at = route.value;
  const chosen = at.view === "missed" ? at.callId : "";
  const list = contexts.missed();
  const move = (step: number) => {
    const index = list.findIndex(({ callId }) => callId === chosen);
    const next = list[index < 0 ? 0 : Math.min(list.length - 1, Math.max(0, index + step))];
    if (next) go(callPath(next.callId, "missed"));
  };
  useKey("j", () => move(1));
  useKey("k", () => move(-1));
  return (
    <div class="missed">
      <h2 class="queue-title">
        {t("missed.title")} <span class="count">{list.length}</span>
      </h2>
      <VirtualList
        class="queue"
        label={t("missed.title")}
        items={list}
        keyOf={({ callId }) => callId}
        estimate={140}
        reveal={chosen === "" ? undefined : chosen}
        empty={<Empty icon="check">{t("missed.none")}</Empty>}
        row={(context) => <MissedRow context={context} chosen={context.callId === chosen} />}
      />
    </div>
  );
}

function MissedRow({ context, chosen }: { readonly context: CallContext; readonly chosen: boolean }) {
  const [problem, setProblem] = useState("");
  const wanted = context.status === ContextStatus.CALLBACK_WANTED;
  const path = callPath(context.callId, "missed");
  const done = async () => {
    try {
      const changes = {
        callId: context.callId,
        outcome: t("outcome.calledBack"),
        status: ContextStatus.ENDED,
      };
      const { context: after } = await api.updateContext(changes, ["outcome", "status"], context.revision);
      if (after) contexts.put(after);
    } catch (error) {
      setProblem(refusalText(error));
    }
  };
  return (
    <div class={`card call-row tone-edge-warn ${chosen ? "chosen" : ""}`}>
      <a
        href={path}
        class="row-link"
        aria-current={chosen ? "page" : undefined}
        onClick={(event) => {
          event.preventDefault();
          go(path);
        }}
      >
        <span class="row-top">
          <strong class="number">{phone(context.caller, true)}</strong>
          <span class="clock waits">
            {t("missed.ago", { time: duration(now.value - toMs(context.updateTime)) })}
          </span>
        </span>
        <span class="row-chips">
          <Chip tone={wanted ? "warn" : "plain"}>{wanted ? t("missed.wanted") : t("missed.abandoned")}</Chip>
          {reasonOf(context) !== "" && <Chip>{reasonOf(context)}</Chip>}
        </span>
        <span class="row-summary">{context.summary || " "}</span>
      </a>
      <Button icon="check" onClick={done}>
        {t("missed.calledBack")}
      </Button>
      {problem !== "" && (
        <p class="told complaint" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}
