import type { DeskPerson } from "../wire/sign-in.js";

/** Whose page pops: whoever has the number that is called; when nobody has it, everybody of the pool. */
export function popsFor(
  call: { readonly callee: string; readonly pool: string },
  person: DeskPerson,
  users: readonly DeskPerson[],
): boolean {
  if (users.length === 0) return true;
  if (users.some(({ numbers }) => numbers.includes(call.callee))) return person.numbers.includes(call.callee);
  return person.pools.length === 0 || person.pools.includes(call.pool);
}
