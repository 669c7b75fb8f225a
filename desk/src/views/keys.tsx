import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { shortcutsOn, theme } from "../model/preferences.js";
import { LANGUAGES, locale, setLocale, type TextKey, t } from "../text/index.js";
import { Dialog } from "./parts.js";

/** The list of keys is open. */
export const keysOpen = signal(false);

/** What each key does, as the list shows it. */
export const KEYS: readonly { readonly key: string; readonly does: TextKey }[] = [
  { key: "j", does: "key.next" },
  { key: "k", does: "key.previous" },
  { key: "Enter", does: "key.open" },
  { key: "t", does: "key.take" },
  { key: "a", does: "key.accept" },
  { key: "d", does: "key.decline" },
  { key: "l", does: "key.listen" },
  { key: "n", does: "key.note" },
  { key: "m", does: "key.mute" },
  { key: "c", does: "key.connect" },
  { key: "1", does: "key.barge" },
  { key: "2", does: "key.whisper" },
  { key: "3", does: "key.spy" },
  { key: "h", does: "key.handBack" },
  { key: "x", does: "key.disconnect" },
  { key: "g", does: "key.calls" },
  { key: "b", does: "key.missed" },
  { key: "s", does: "key.supervisor" },
  { key: "v", does: "key.availability" },
  { key: "?", does: "key.help" },
];

type Handler = () => void;
const handlers = new Map<string, Handler[]>();

/** While the component is there, the key does this; the newest wins. `undefined`: not now. */
export function useKey(key: string, handler: Handler | undefined): void {
  useEffect(() => {
    if (!handler) return;
    const list = handlers.get(key) ?? [];
    list.push(handler);
    handlers.set(key, list);
    return () => {
      list.splice(list.indexOf(handler), 1);
    };
  });
}

window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const target = event.target as HTMLElement;
  if (target.closest("input, textarea, select, [contenteditable]")) return;
  // A dialog has its own keys, wherever the focus went meanwhile.
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Enter" && target.closest("button, a")) return;
  if (event.key !== "?" && event.key.length === 1 && !shortcutsOn.value) return;
  const handler = handlers.get(event.key)?.at(-1);
  if (!handler) return;
  event.preventDefault();
  handler();
});

/** The keys, and what else a person may choose. */
export function KeysDialog() {
  if (!keysOpen.value) return null;
  return (
    <Dialog
      title={t("keys.title")}
      onClose={() => {
        keysOpen.value = false;
      }}
    >
      <dl class="keys">
        {KEYS.map(({ key, does }) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{t(does)}</dd>
          </div>
        ))}
      </dl>
      <div class="settings">
        <label class="check">
          <input
            type="checkbox"
            checked={shortcutsOn.value}
            onChange={({ currentTarget }) => {
              shortcutsOn.value = currentTarget.checked;
            }}
          />
          {t("keys.on")}
        </label>
        <label>
          {t("settings.language")}
          <select value={locale.value} onChange={({ currentTarget }) => setLocale(currentTarget.value)}>
            {Object.entries(LANGUAGES).map(([tag, name]) => (
              <option key={tag} value={tag}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t("settings.theme")}
          <select
            value={theme.value}
            onChange={({ currentTarget }) => {
              theme.value = currentTarget.value;
            }}
          >
            <option value="system">{t("settings.theme.system")}</option>
            <option value="light">{t("settings.theme.light")}</option>
            <option value="dark">{t("settings.theme.dark")}</option>
          </select>
        </label>
      </div>
    </Dialog>
  );
}
