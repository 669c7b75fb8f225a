import type { Agent, Call, Pool } from "@callweave/proto/messages";
import { useEffect, useState } from "preact/hooks";
import { api, seat } from "../app.js";
import { t } from "../text/index.js";
import { command } from "./actions.js";
import { Button, Dialog } from "./parts.js";
import { refusalText } from "./writing.js";

/** A text for the agent who has the seat; the caller hears nothing of it. */
export function NoteToAgent({ callId, onClose }: { readonly callId: string; readonly onClose: () => void }) {
  const [text, setText] = useState("");
  const [told, setTold] = useState("");
  const send = async () => {
    try {
      const { delivered } = await api.note(callId, text.trim());
      setTold(delivered ? t("action.sent") : t("action.notDelivered"));
      if (delivered) setText("");
    } catch (error) {
      setTold(refusalText(error));
    }
  };
  return (
    <Dialog title={t("action.noteToAgent")} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim() !== "") void send();
        }}
      >
        <p class="hint">{t("action.noteToAgent.text")}</p>
        <textarea
          rows={3}
          maxLength={2_000}
          aria-label={t("action.noteToAgent")}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
        <div class="row end">
          <span class="told" aria-live="polite">
            {told}
          </span>
          <Button kind="primary" type="submit" disabled={text.trim() === ""}>
            {t("action.send")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** To whom the seat goes: any agent of a pool, or one that has a free place. */
export function HandOn({ call, onClose }: { readonly call: Call; readonly onClose: () => void }) {
  const [pools, setPools] = useState<readonly Pool[]>([]);
  const [agents, setAgents] = useState<readonly Agent[]>([]);
  const [chosen, setChosen] = useState("");
  useEffect(() => {
    api.pools().then(
      (answer) => setPools(answer.pools),
      () => {},
    );
    api.agents().then(
      (answer) => setAgents(answer.agents),
      () => {},
    );
  }, []);
  const mine = seat.held.value?.session.instanceId;
  const free = agents.filter(
    (one) => one.instanceId !== mine && one.connected && !one.draining && one.callIds.length < one.capacity,
  );
  const give = () => {
    const [kind, value = ""] = chosen.split(/:(.*)/s);
    const to =
      kind === "pool" ? ({ $case: "pool", value } as const) : ({ $case: "instanceId", value } as const);
    onClose();
    void command(call.callId, () => api.transfer(call.callId, to, call.seat?.epoch ?? 0, 15));
  };
  return (
    <Dialog title={t("action.handOn")} onClose={onClose}>
      <label class="stack">
        {t("action.handOn.to")}
        <select value={chosen} onChange={({ currentTarget }) => setChosen(currentTarget.value)}>
          <option value="">{t("person.choose")}</option>
          {pools
            .filter(({ capacity, busy }) => capacity > busy)
            .map(({ name }) => (
              <option key={name} value={`pool:${name}`}>
                {t("action.handOn.pool", { name })}
              </option>
            ))}
          {free.map((one) => (
            <option key={one.instanceId} value={`instance:${one.instanceId}`}>
              {one.agentId} ({one.pool})
            </option>
          ))}
        </select>
      </label>
      <div class="row end">
        <Button onClick={onClose}>{t("cancel")}</Button>
        <Button kind="primary" icon="handover" disabled={chosen === ""} onClick={give}>
          {t("action.handOn")}
        </Button>
      </div>
    </Dialog>
  );
}
