import { calls, connection, contexts, pops, seat } from "../app.js";
import type { Pop } from "../model/pops.js";
import { callPath, go, route } from "../model/route.js";
import { formats, phone, t } from "../text/index.js";
import { CallView } from "./call-view.js";
import { KeysDialog } from "./keys.js";
import { Missed } from "./missed.js";
import { Button, Empty, Icon } from "./parts.js";
import { Queue } from "./queue.js";
import { SignInView } from "./sign-in-view.js";
import { Supervisor } from "./supervisor.js";
import { TopBar } from "./top-bar.js";

/** Calls told at once; the others are in the list anyway. */
const MOST_POPS = 2;

/** The page. */
export function AppView() {
  if (connection.status.value === "signedOut") return <SignInView />;
  const at = route.value;
  const callId = at.view === "supervisor" ? "" : at.callId;
  return (
    <div class={`app view-${at.view} ${callId === "" ? "" : "with-call"}`}>
      <a class="skip" href="#main">
        {t("nav.skip")}
      </a>
      <TopBar />
      <Lost />
      <Popped />
      <main id="main" tabIndex={at.view === "supervisor" ? 0 : -1}>
        {at.view === "supervisor" ? (
          <Supervisor />
        ) : (
          <>
            <div class="list-pane">{at.view === "missed" ? <Missed /> : <Queue />}</div>
            <div class="call-pane">
              {callId === "" ? (
                <Empty icon="headset">{t("pick.a.call")}</Empty>
              ) : (
                <CallView key={callId} callId={callId} />
              )}
            </div>
          </>
        )}
      </main>
      <HeldBar />
      <KeysDialog />
    </div>
  );
}

/** The connection is gone: since when, and what that means. */
function Lost() {
  const since = connection.lostAt.value;
  if (!since || connection.status.value === "live") return null;
  return (
    <div class="banner warn" role="alert">
      <p>{t("status.reconnecting.long", { time: formats.value.time.format(since) })}</p>
      <Button onClick={() => connection.retryNow()}>{t("status.retry")}</Button>
    </div>
  );
}

/** What comes to this person while it looks at something else. */
function Popped() {
  const at = route.value;
  const open = at.view === "supervisor" ? "" : at.callId;
  const list = pops.list.value.filter(({ callId }) => callId !== open);
  return (
    <section class="pops" aria-label={t("pop.label")} aria-live="assertive">
      {list.slice(-MOST_POPS).map((pop) => (
        <PopCard key={pop.callId} pop={pop} />
      ))}
      {list.length > MOST_POPS && (
        <p class="more hint">{t("pop.more", { count: list.length - MOST_POPS })}</p>
      )}
    </section>
  );
}

function PopCard({ pop: { callId, why } }: { readonly pop: Pop }) {
  const call = calls.get(callId)?.call;
  const context = contexts.head(callId);
  return (
    <div class="card pop">
      <Icon name={why === "ringing" ? "phone" : "handover"} />
      <div class="pop-text">
        <strong>{t(`pop.${why}`, { caller: phone(call?.caller ?? "", true) })}</strong>
        <p>{context?.summary}</p>
      </div>
      <Button kind="primary" onClick={() => go(callPath(callId))}>
        {t("pop.open")}
      </Button>
      <Button kind="quiet" icon="close" onClick={() => pops.drop(callId)}>
        {t("close")}
      </Button>
    </div>
  );
}

/** One holds a call and looks at something else: the way back. */
function HeldBar() {
  const held = seat.held.value;
  const at = route.value;
  if (!held || (at.view !== "supervisor" && at.callId === held.callId)) return null;
  const call = calls.get(held.callId)?.call;
  return (
    <div class="held-bar" role="status">
      <Icon name="mic" />
      <span>
        {t("seat.holder")}: {phone(call?.caller ?? "", true)}
      </span>
      <Button kind="primary" onClick={() => go(callPath(held.callId))}>
        {t("pop.open")}
      </Button>
    </div>
  );
}
