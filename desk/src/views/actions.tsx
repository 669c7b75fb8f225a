import { AgentMode, CallState, EscalationStep } from "@callweave/proto/messages";
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { api, calls, connection, listening, may, seat } from "../app.js";
import { MicrophoneError, microphoneAllowed } from "../audio/microphone.js";
import type { CallEntry } from "../model/call-entry.js";
import { isOver } from "../model/call-entry.js";
import { TakeError } from "../seat/seat.js";
import { t } from "../text/index.js";
import { HandOn, NoteToAgent } from "./dialogs.js";
import { useKey } from "./keys.js";
import { Button, Dialog, Key } from "./parts.js";
import { modeOf } from "./words.js";
import { refusalText } from "./writing.js";

/** What went wrong with the last thing that was asked for. */
interface Complaint {
  readonly callId: string;
  readonly text: string;
  /** The microphone was the trouble: the call can be taken without one. */
  readonly offerSilent?: boolean;
  /** Somebody else took the seat, from this holder; by whom shows in a moment. */
  readonly takenFrom?: string;
}

/** What went wrong with the last thing that was asked for, by call. */
export const complaint = signal<Complaint | undefined>(undefined);
const RING_SECONDS = 30;

/** Takes the seat of a call and says why not. */
export async function takeSeat(entry: CallEntry, withoutMicrophone = false): Promise<void> {
  const { callId } = entry.call;
  complaint.value = undefined;
  listening.stop();
  const offered = seat.offers.value.find(({ offer }) => offer.call?.callId === callId);
  try {
    if (offered) await seat.accept(offered, withoutMicrophone);
    else await seat.take(entry.call, entry.escalation?.plan?.pool ?? "", withoutMicrophone);
  } catch (error) {
    complaint.value = { callId, ...explained(error, callId) };
  }
}

function explained(error: unknown, callId: string): Omit<Complaint, "callId"> {
  if (error instanceof MicrophoneError) return { text: microphoneText(error.problem), offerSilent: true };
  if (!(error instanceof TakeError)) return { text: t("take.failed", { why: String(error) }) };
  if (error.reason === "failed") return { text: t("take.failed", { why: error.detail }) };
  if (error.reason === "busy") {
    const target = calls.peek(callId)?.escalation?.plan?.pool || t("action.handOn.callee");
    return { text: t("take.busy", { target }) };
  }
  if (error.reason !== "taken") return { text: t(`take.${error.reason}`) };
  if (error.by !== "") return { text: t("take.taken", { name: error.by }) };
  return { text: t("take.takenSomebody"), takenFrom: calls.peek(callId)?.call.seat?.agentId ?? "" };
}

/** Why there is no microphone. */
export function microphoneText(problem: string): string {
  if (problem === "insecure") return t("mic.insecure");
  if (problem === "refused") return t("mic.refused");
  if (problem === "missing") return t("mic.missing");
  if (problem === "lost") return t("mic.lost");
  return t("mic.failed");
}

/** Does something with a call and says why not. */
export async function command(callId: string, run: () => Promise<unknown>): Promise<boolean> {
  complaint.value = undefined;
  try {
    await run();
    return true;
  } catch (error) {
    complaint.value = { callId, text: refusalText(error) };
    return false;
  }
}

/** What a person can do with a call, as it stands. */
export function Actions({ entry }: { readonly entry: CallEntry }) {
  const { call } = entry;
  const held = seat.held.value;
  const mine = held?.callId === call.callId;
  if (isOver(entry)) return null;
  return (
    <section class="actions" aria-label={t("action.label")}>
      <Confirming entry={entry} />
      {mine ? <HolderActions entry={entry} /> : <VisitorActions entry={entry} />}
      <Complaint entry={entry} />
    </section>
  );
}

function Complaint({ entry }: { readonly entry: CallEntry }) {
  const said = complaint.value;
  if (said?.callId !== entry.call.callId) return <p class="told" aria-live="assertive" />;
  const holder = entry.call.seat?.agentId ?? "";
  const by = said.takenFrom !== undefined && holder !== said.takenFrom ? holder : "";
  return (
    <div class="told complaint" role="alert">
      <p>{by === "" ? said.text : t("take.taken", { name: by })}</p>
      {said.offerSilent && (
        <Button kind="plain" icon="ear" onClick={() => takeSeat(entry, true)}>
          {t("mic.without")}
        </Button>
      )}
    </div>
  );
}

/** A handover that wants a person to accept it. */
function Confirming({ entry }: { readonly entry: CallEntry }) {
  const { callId } = entry.call;
  const asked = entry.escalation?.step === EscalationStep.CONFIRMING;
  const answer = (accepted: boolean) => () => void command(callId, () => api.confirm(callId, accepted));
  useKey("a", asked ? answer(true) : undefined);
  useKey("d", asked ? answer(false) : undefined);
  if (!asked) return null;
  return (
    <>
      <Button kind="primary" icon="check" hint="a" onClick={answer(true)}>
        {t("action.confirmTake")}
      </Button>
      <Button hint="d" onClick={answer(false)}>
        {t("action.confirmRefuse")}
      </Button>
    </>
  );
}

/** Somebody else, or nobody, has the seat. */
function VisitorActions({ entry }: { readonly entry: CallEntry }) {
  const { callId } = entry.call;
  const [noting, setNoting] = useState(false);
  const offered = seat.offers.value.find(({ offer }) => offer.call?.callId === callId);
  const live = connection.status.value === "live";
  const taking = seat.taking.value === callId;
  const free = seat.held.value === undefined && seat.taking.value === "" && live;
  const mayTake = may("speak") && (may("transfer") || offered !== undefined);
  const take = free && mayTake ? () => void takeSeat(entry) : undefined;
  const heard = listening.heard.value?.callId === callId;
  const listen = () => void (heard ? listening.stop() : listening.start(callId));
  useKey("t", take);
  useKey("a", offered && take);
  useKey("d", offered && (() => seat.decline(offered)));
  useKey("l", may("listen") ? listen : undefined);
  useKey("n", may("note") ? () => setNoting(true) : undefined);
  return (
    <>
      <Button
        kind="primary"
        icon={offered ? "check" : "handover"}
        hint={offered ? "a" : "t"}
        disabled={!take}
        onClick={take}
      >
        {taking ? t("action.taking") : offered ? t("action.accept") : t("action.take")}
      </Button>
      {offered && (
        <Button hint="d" onClick={() => seat.decline(offered)}>
          {t("action.decline")}
        </Button>
      )}
      {may("listen") && (
        <Button icon={heard ? "stop" : "ear"} hint="l" aria-pressed={heard} disabled={!live} onClick={listen}>
          {heard ? t("action.listenStop") : t("action.listen")}
        </Button>
      )}
      {may("note") && (
        <Button icon="note" hint="n" disabled={!live} onClick={() => setNoting(true)}>
          {t("action.noteToAgent")}
        </Button>
      )}
      {!microphoneAllowed() && <p class="hint">{t("mic.insecure")}</p>}
      {noting && <NoteToAgent callId={callId} onClose={() => setNoting(false)} />}
    </>
  );
}

const MODES = [AgentMode.BARGE, AgentMode.WHISPER, AgentMode.SPY] as const;

/** This person has the seat. */
function HolderActions({ entry }: { readonly entry: CallEntry }) {
  const { call, ringing } = entry;
  const { callId } = call;
  const [asking, setAsking] = useState<"" | "disconnect" | "handOn">("");
  const [connecting, setConnecting] = useState(false);
  const connected = call.state === CallState.CONNECTED;
  const microphone = seat.held.value?.microphone;
  const muted = microphone?.muted.value ?? true;
  const mute = microphone && (() => microphone.mute(!microphone.muted.value));
  const setMode = (mode: AgentMode) => () => void command(callId, () => api.setMode(callId, mode));
  const connect = connected
    ? undefined
    : async () => {
        setConnecting(true);
        await command(callId, () => api.connectCallee(callId, RING_SECONDS));
        setConnecting(false);
      };
  const back = () => {
    const to = { $case: "pool", value: call.pool } as const;
    void command(callId, () => api.transfer(callId, to, call.seat?.epoch ?? 0, 10));
  };
  useKey("m", mute);
  useKey("c", connect && (() => void connect()));
  useKey("1", connected ? setMode(AgentMode.BARGE) : undefined);
  useKey("2", connected ? setMode(AgentMode.WHISPER) : undefined);
  useKey("3", connected ? setMode(AgentMode.SPY) : undefined);
  useKey("h", back);
  useKey("x", () => setAsking("disconnect"));
  const rings = connecting || ringing;
  return (
    <>
      {mute ? (
        <Button
          kind={muted ? "danger" : "plain"}
          icon={muted ? "micOff" : "mic"}
          hint="m"
          aria-pressed={muted}
          onClick={mute}
        >
          {muted ? t("action.unmute") : t("action.mute")}
        </Button>
      ) : (
        <span class="hint">{t("mic.none")}</span>
      )}
      {connected ? (
        <fieldset class="modes">
          <legend class="visually-hidden">{t("mode.label")}</legend>
          {MODES.map((mode, i) => (
            <button
              key={mode}
              type="button"
              class="mode"
              aria-pressed={call.agentMode === mode}
              aria-keyshortcuts={String(i + 1)}
              onClick={setMode(mode)}
            >
              {modeOf(mode)} <Key name={String(i + 1)} />
            </button>
          ))}
        </fieldset>
      ) : (
        <Button icon="phone" hint="c" disabled={rings} onClick={connect}>
          {rings ? t("action.connecting") : t("action.connect")}
        </Button>
      )}
      {connected && (
        <Button kind="primary" icon="people" onClick={() => command(callId, () => api.close(callId))}>
          {t("action.leave")}
        </Button>
      )}
      <Button icon="back" hint="h" disabled={rings} onClick={back}>
        {t("action.handBack")}
      </Button>
      <Button icon="handover" disabled={rings} onClick={() => setAsking("handOn")}>
        {t("action.handOn")}
      </Button>
      <Button kind="danger" icon="hangUp" hint="x" onClick={() => setAsking("disconnect")}>
        {t("action.disconnect")}
      </Button>
      {asking === "disconnect" && (
        <Dialog title={t("action.disconnect.sure")} onClose={() => setAsking("")}>
          <p>{t("action.disconnect.text")}</p>
          <div class="row end">
            <Button onClick={() => setAsking("")}>{t("cancel")}</Button>
            <Button
              kind="danger"
              icon="hangUp"
              onClick={() => {
                setAsking("");
                void command(callId, () => api.disconnect(callId));
              }}
            >
              {t("action.disconnect")}
            </Button>
          </div>
        </Dialog>
      )}
      {asking === "handOn" && <HandOn call={call} onClose={() => setAsking("")} />}
    </>
  );
}
