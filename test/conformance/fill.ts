import type { Stage } from "./stage.js";

/**
 * Replaces `$instance:b` by the instance id of program b, `$call:c` by the id of call c, `$file:ca.pem` by where that file of
 * the scenario is, and `{makeTurns: [first, count]}` by so many turns.
 */
export function fill<T>(stage: Stage, value: T): T {
  return JSON.parse(JSON.stringify(value), (_key, entry) => {
    if (typeof entry === "string") return filled(stage, entry);
    if (!entry || typeof entry !== "object" || !("makeTurns" in entry)) return entry;
    const [first, count] = entry.makeTurns as [number, number];
    return Array.from({ length: count }, (_, i) => turn(first + i));
  }) as T;
}

/** The text of a made turn. */
export function turnText(number: number): string {
  return `What was said as number ${number}.`;
}

function turn(number: number): object {
  return { id: `turn-${number}`, role: number % 2 ? "AI" : "CALLER", text: turnText(number) };
}

function filled(stage: Stage, text: string): string {
  return text
    .replace(/\$call:([a-z0-9]+)/g, (_, name: string) => stage.call(name).id)
    .replace(/\$file:([a-z0-9.-]+)/g, (_, name: string) => stage.file(name))
    .replace(/\$instance:([a-z0-9]+)/g, (_, name: string) => stage.instanceIds.get(name) ?? "");
}
