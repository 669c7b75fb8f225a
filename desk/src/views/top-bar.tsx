import { calls, connection, contexts, may, person, seat } from "../app.js";
import { notificationsOn, personName, soundOn } from "../model/preferences.js";
import { go, route } from "../model/route.js";
import { t } from "../text/index.js";
import { signOut } from "../wire/sign-in.js";
import { keysOpen, useKey } from "./keys.js";
import { Button, Icon, type IconName } from "./parts.js";

/** Where one is, who one is, and whether one is there for callers. */
export function TopBar() {
  const me = connection.me.value;
  const toggle = () => seat.setAvailable(!seat.available.value);
  useKey("v", toggle);
  useKey("?", () => {
    keysOpen.value = true;
  });
  useKey("g", () => go("/calls"));
  useKey("b", () => go("/missed"));
  useKey("s", () => go("/supervisor"));
  const available = seat.available.value;
  return (
    <header class="top">
      <div class="brand">
        <img src="/icon.svg" alt="" width="28" height="28" />
        <h1>
          Callweave <span>{t("title")}</span>
        </h1>
      </div>
      <nav aria-label={t("nav.label")}>
        <NavLink
          path="/calls"
          view="calls"
          icon="headset"
          text={t("nav.calls")}
          count={calls.waiting().length}
        />
        <NavLink
          path="/missed"
          view="missed"
          icon="missed"
          text={t("nav.missed")}
          count={contexts.missed().length}
        />
        {may("fleet") && (
          <NavLink path="/supervisor" view="supervisor" icon="people" text={t("nav.supervisor")} count={0} />
        )}
      </nav>
      <div class="top-end">
        <ConnectionState />
        {me && !person.value.fixed && me.users.length > 0 ? (
          <select
            class="person"
            aria-label={t("person.label")}
            value={personName.value}
            onChange={({ currentTarget }) => {
              personName.value = currentTarget.value;
            }}
          >
            <option value="">{t("person.choose")}</option>
            {me.users.map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        ) : (
          me && <span class="person-name">{person.value.name}</span>
        )}
        <button
          type="button"
          class={`button shift ${available ? "on" : ""}`}
          aria-pressed={available}
          aria-keyshortcuts="v"
          title={available ? t("shift.goOff") : t("shift.goOn")}
          onClick={toggle}
        >
          <span class="dot" aria-hidden="true" />
          <span>{available ? t("shift.on") : t("shift.off")}</span>
        </button>
        <IconToggle
          icon="sound"
          on={soundOn.value}
          text={soundOn.value ? t("sound.on") : t("sound.off")}
          onClick={() => {
            soundOn.value = !soundOn.value;
          }}
        />
        <IconToggle
          icon="bell"
          on={notificationsOn.value}
          text={notificationsOn.value ? t("notify.on") : t("notify.off")}
          onClick={() => void toggleNotifications()}
        />
        <IconToggle
          icon="keys"
          on={false}
          text={t("keys.title")}
          onClick={() => {
            keysOpen.value = true;
          }}
        />
        {me?.keys && (
          <Button
            kind="quiet"
            onClick={() =>
              void signOut().finally(() => {
                connection.leave();
              })
            }
          >
            {t("signOut")}
          </Button>
        )}
      </div>
    </header>
  );
}

async function toggleNotifications(): Promise<void> {
  if (notificationsOn.value) notificationsOn.value = false;
  else if ((await Notification.requestPermission()) === "granted") notificationsOn.value = true;
}

function NavLink(props: {
  readonly path: string;
  readonly view: string;
  readonly icon: IconName;
  readonly text: string;
  readonly count: number;
}) {
  const here = route.value.view === props.view;
  return (
    <a
      href={props.path}
      class={here ? "here" : ""}
      aria-current={here ? "page" : undefined}
      onClick={(event) => {
        event.preventDefault();
        go(props.path);
      }}
    >
      <Icon name={props.icon} />
      <span>{props.text}</span>
      {props.count > 0 && <span class="badge">{props.count}</span>}
    </a>
  );
}

function IconToggle(props: {
  readonly icon: IconName;
  readonly on: boolean;
  readonly text: string;
  readonly onClick: () => void;
}) {
  return (
    <button
      type="button"
      class={`button icon-only ${props.on ? "on" : ""}`}
      aria-label={props.text}
      title={props.text}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}

function ConnectionState() {
  const status = connection.status.value;
  const text =
    status === "live"
      ? t("status.live")
      : status === "connecting"
        ? t("status.connecting")
        : t("status.reconnecting");
  return (
    <span class={`connection ${status}`} role="status">
      <span class="dot" aria-hidden="true" />
      {text}
    </span>
  );
}
