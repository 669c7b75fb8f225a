import { effect, type Signal, signal } from "@preact/signals";

/** A choice of this person that stays in this browser. No secrets here. */
function stored<T extends string | boolean>(name: string, standard: T): Signal<T> {
  const key = `callweave.${name}`;
  const text = localStorage.getItem(key);
  const value = text === null ? standard : typeof standard === "boolean" ? text === "true" : text;
  const chosen = signal(value as T);
  effect(() => localStorage.setItem(key, String(chosen.value)));
  return chosen;
}

/** Who works at this page, where the key does not say it. */
export const personName = stored<string>("person", "");
/** A tone when somebody waits. */
export const soundOn = stored<boolean>("sound", true);
/** A notification of the system when somebody waits. */
export const notificationsOn = stored<boolean>("notifications", false);
/** Single keys are commands. */
export const shortcutsOn = stored<boolean>("shortcuts", true);
/** "system", "light" or "dark". */
export const theme = stored<string>("theme", "system");

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});
