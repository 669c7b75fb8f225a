import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { bundle } from "./bundle.js";
import type { Command } from "./language.js";
import { ProgramPool } from "./program.js";
import { runScenario } from "./runner.js";
import { loadScenarios, type Scenario, type Step } from "./scenario.js";

/** Enough for what is right to be seen, and what is wrong is known after it. */
const PATIENCE_MS = 10_000;

/** A deliberately wrong agent, the scenario that has to catch it, and by what. */
const WRONG: readonly (readonly [string, string, RegExp])[] = [
  ["swaps-two-frames", "answer-and-echo", /echoed: .*frame \d+ was heard after frame/],
  ["drops-the-odd-byte", "odd-length-audio", /heard/],
  ["answers-untold", "answers-only-when-told", /call\.answer 1 times, not 0|state is "ANSWERED"/],
  ["repeats-with-a-new-id", "repeated-request-id", /call\.connect \d times, not 1/],
  ["plays-after-clear", "clear-in-mid-sentence", /heard|the answer to "play"/],
  ["ignores-gaps", "slow-reader", /the report "gap"/],
  ["says-marks-early", "marks-and-position", /aheadMs is \d|playedMs is \d|did not hear/],
  ["escalates-without-leaving", "escalate-connected", /agentLeft is false/],
  ["holds-after-bye", "simple-form", /did not hear/],
  ["keeps-what-nobody-reads", "never-reads", /grew by \d+ MiB, more than 64/],
  ["falls-at-sigterm", "terminated-drains", /says of its agents/],
];

let built: Command;
let scenarios: readonly Scenario[];

beforeAll(async () => {
  built = await bundle(fileURLToPath(new URL("./wrong/main.ts", import.meta.url)), "wrong");
  scenarios = loadScenarios();
});

describe("the runner", () => {
  it.concurrent.each(WRONG)("catches an agent that %s, by %s", async (agent, name, why) => {
    const scenario = scenarios.find((one) => one.name === name);
    if (!scenario) throw new Error(`there is no scenario ${name}`);
    const pool = new ProgramPool({ ...built, args: [...built.args, agent] });
    const outcome = await runScenario(
      { ...scenario, others: [], steps: scenario.steps.map(impatient) },
      { main: pool, other: pool },
    );
    await pool.close();
    expect(outcome.why).toMatch(why);
  });
});

function impatient(step: Step): Step {
  const args = step.args as { withinMs?: number };
  if (args.withinMs === undefined) return step;
  return { ...step, args: { ...args, withinMs: Math.min(args.withinMs, PATIENCE_MS) } } as Step;
}
