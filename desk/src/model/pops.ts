import { EscalationStep } from "@callweave/proto/messages";
import { effect, type ReadonlySignal, signal } from "@preact/signals";
import { chime } from "../audio/chime.js";
import type { SeatKeeper } from "../seat/seat.js";
import { phone, t } from "../text/index.js";
import type { DeskPerson } from "../wire/sign-in.js";
import { isOver, isWaiting } from "./call-entry.js";
import type { Calls } from "./calls.js";
import type { Contexts } from "./contexts.js";
import { popsFor } from "./pops-for.js";
import { notificationsOn, soundOn } from "./preferences.js";
import { callPath, go, route } from "./route.js";

/** A call that comes to this person. */
export interface Pop {
  readonly callId: string;
  /** "coming": it is being handed over; "ringing": the phone rings; "offer": the seat is offered. */
  readonly why: "coming" | "ringing" | "offer";
}

/** What comes to this person: shown, heard, and told by the system. */
export class Pops {
  readonly list = signal<readonly Pop[]>([]);

  constructor(
    private readonly calls: Calls,
    private readonly contexts: Contexts,
    private readonly seat: SeatKeeper,
    person: ReadonlySignal<DeskPerson>,
    users: () => readonly DeskPerson[],
  ) {
    calls.onNews(({ event }, after) => {
      const { call } = after;
      const { callId } = call;
      if (isOver(after) || !(isWaiting(after) || after.ringing)) {
        this.drop(callId);
        return;
      }
      if (event?.$case === "escalation" && event.value.step === EscalationStep.SAVING) {
        // To a pool: whoever is in that one.
        const pool = event.value.plan?.pool || call.pool;
        const target = { callee: event.value.plan?.pool ? "" : call.callee, pool };
        // A pool's calls are for who is on shift; one's own phone rings also at others.
        const own = person.value.numbers.includes(target.callee);
        if ((own || seat.available.peek()) && popsFor(target, person.value, users()))
          this.add({ callId, why: "coming" });
      }
      if (event?.$case === "ringing" && popsFor(call, person.value, users()))
        this.add({ callId, why: "ringing" });
    });
    let known = new Set<string>();
    effect(() => {
      const offered = seat.offers.value.map(({ offer }) => offer.call?.callId ?? "");
      for (const callId of offered) if (!known.has(callId)) this.add({ callId, why: "offer" });
      for (const callId of known) if (!offered.includes(callId)) this.drop(callId, "offer");
      known = new Set(offered);
    });
  }

  /** Not shown any more. */
  drop(callId: string, why?: Pop["why"]): void {
    const kept = this.list.peek().filter((pop) => pop.callId !== callId || (why && pop.why !== why));
    if (kept.length !== this.list.peek().length) this.list.value = kept;
  }

  private add(pop: Pop): void {
    const before = this.list.peek();
    this.list.value = [...before.filter(({ callId }) => callId !== pop.callId), pop];
    if (before.some(({ callId }) => callId === pop.callId)) return;
    // Whoever looks at nothing sees the context at once; nobody is torn away from another call.
    const at = route.peek();
    if (at.view === "calls" && at.callId === "" && !this.seat.held.peek()) go(callPath(pop.callId));
    if (soundOn.value && !this.seat.held.peek()) void chime();
    this.notify(pop);
  }

  private notify({ callId }: Pop): void {
    if (!notificationsOn.value || !document.hidden || Notification.permission !== "granted") return;
    const call = this.calls.peek(callId)?.call;
    const notification = new Notification(t("pop.coming", { caller: phone(call?.caller ?? "", true) }), {
      body: this.contexts.peek(callId)?.summary ?? "",
      tag: callId,
    });
    notification.onclick = () => {
      window.focus();
      go(callPath(callId));
    };
  }
}
