import { AudioSource } from "@callweave/proto/messages";
import { listening, seat } from "../app.js";
import { t, tFor } from "../text/index.js";
import { command, microphoneText } from "./actions.js";
import { Button, Icon } from "./parts.js";
import { Meter, Wave } from "./wave.js";

/** What is heard of a call, and of oneself: levels and the last seconds. */
export function SoundStrip({ callId }: { readonly callId: string }) {
  const held = seat.held.value;
  const heard = listening.heard.value;
  const problem = listening.problem.value;
  if (held?.callId === callId) {
    const trouble = seat.microphoneProblem.value;
    return (
      <section class="sound card" aria-label={t("source.label")}>
        <Lane icon="ear" levels={held.speaker.levels} meter={t("level.heard")} wave={t("wave.heard")} />
        {held.microphone && (
          <Lane icon="mic" levels={held.microphone.levels} meter={t("level.mic")} wave={t("wave.mic")} />
        )}
        {(trouble !== "" || !held.microphone) && (
          <div class="complaint" role="alert">
            <p>{trouble === "" ? t("mic.none") : microphoneText(trouble)}</p>
            <Button icon="mic" onClick={() => command(callId, () => seat.renewMicrophone())}>
              {t("mic.again")}
            </Button>
          </div>
        )}
      </section>
    );
  }
  if (heard?.callId !== callId) {
    if (problem === "" || heard) return null;
    const text = tFor("listen.problem", problem);
    return (
      <p class="told complaint" role="alert">
        {text === problem ? t("listen.problem", { reason: problem }) : text}
      </p>
    );
  }
  return (
    <section class="sound card" aria-label={t("source.label")}>
      <Lane icon="ear" levels={heard.speaker.levels} meter={t("level.heard")} wave={t("wave.heard")} />
      <label class="source">
        {t("source.label")}
        <select
          value={String(heard.source)}
          onChange={({ currentTarget }) => void listening.start(callId, Number(currentTarget.value))}
        >
          <option value={String(AudioSource.MIXED)}>{t("source.MIXED")}</option>
          <option value={String(AudioSource.AGENT)}>{t("source.AGENT")}</option>
        </select>
        <small>{t("source.why")}</small>
      </label>
    </section>
  );
}

function Lane(props: {
  readonly icon: "ear" | "mic";
  readonly levels: Parameters<typeof Meter>[0]["levels"];
  readonly meter: string;
  readonly wave: string;
}) {
  return (
    <div class={`lane lane-${props.icon}`}>
      <Icon name={props.icon} />
      <Meter levels={props.levels} label={props.meter} />
      <Wave levels={props.levels} label={props.wave} />
    </div>
  );
}
