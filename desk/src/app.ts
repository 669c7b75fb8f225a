import { computed, effect } from "@preact/signals";
import { Calls } from "./model/calls.js";
import { Contexts } from "./model/contexts.js";
import { Pops } from "./model/pops.js";
import { personName } from "./model/preferences.js";
import { Listening } from "./seat/listening.js";
import { SeatKeeper } from "./seat/seat.js";
import { deskApi } from "./wire/api.js";
import { Connection } from "./wire/connection.js";

/** The parts of the page that live as long as it does. */
export const connection = new Connection();
export const api = deskApi(connection);
export const calls = new Calls(connection, api);
export const contexts = new Contexts(connection, api);
export const seat = new SeatKeeper(connection, api);
export const listening = new Listening(connection, api);

/** Who works here: whom the key names, else who was chosen. */
export const person = computed(() => {
  const me = connection.me.value;
  const own = me?.users.find(({ name }) => name === me.name);
  const chosen = own ?? me?.users.find(({ name }) => name === personName.value);
  const name = own?.name ?? (personName.value || me?.name) ?? "";
  return { name, numbers: chosen?.numbers ?? [], pools: chosen?.pools ?? [], fixed: own !== undefined };
});

/** Whether the key allows something; what it does not is not offered. */
export function may(scope: string): boolean {
  return connection.me.value?.scopes?.includes(scope) ?? true;
}

export const pops = new Pops(calls, contexts, seat, person, () => connection.me.value?.users ?? []);

effect(() => {
  const { name, pools } = person.value;
  if (name !== "") seat.setPerson(name, pools);
});
