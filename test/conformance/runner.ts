import type { Scenario } from "./scenario.js";
import { type Cast, Stage } from "./stage.js";
import { doStep } from "./steps.js";

/** How a scenario ended. */
export interface Outcome {
  readonly scenario: string;
  readonly seconds: number;
  /** Why it failed; undefined when it passed. */
  readonly why: string | undefined;
}

/** A scenario to be run with the programs of a language. */
export interface Job {
  readonly scenario: Scenario;
  readonly cast: Cast;
  /** How it ended when it last ran. */
  outcome(): Outcome | undefined;
  ended(outcome: Outcome): void;
}

/** Runs one scenario with the programs of a cast. Never rejects; leaves no process behind but fresh ones in the pools. */
export async function runScenario(scenario: Scenario, cast: Cast): Promise<Outcome> {
  const startMs = performance.now();
  let why: string | undefined;
  let stage: Stage | undefined;
  try {
    stage = await Stage.open(scenario, cast);
    await bounded(stage, scenario);
    why = unnumbered(stage);
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
    const logs = [...(stage?.programs.values() ?? [])].map(
      ({ name, stderr }) => stderr && `\n  ${name}: ${stderr}`,
    );
    why += logs.join("").slice(0, 2_000);
  }
  const faults = await stage?.close(why !== undefined).catch((error: unknown) => [`the end: ${error}`]);
  why ??= faults?.[0];
  return { scenario: scenario.name, seconds: (performance.now() - startMs) / 1000, why };
}

/** The events of every call have to be numbered without a hole. */
function unnumbered(stage: Stage): string | undefined {
  for (const { id } of stage.calls.values()) {
    const fault = stage.watch.sequenceFault(id);
    if (fault) return fault;
  }
  return undefined;
}

async function bounded(stage: Stage, { steps, limitSeconds }: Scenario): Promise<void> {
  let at = "";
  let over = false;
  const run = async () => {
    for (const [index, step] of steps.entries()) {
      if (over) return;
      at = `step ${index + 1}, ${step.name}`;
      await doStep(stage, step).catch((error: unknown) => {
        throw new Error(`${at}: ${error instanceof Error ? error.message : error}`);
      });
    }
    for (const program of stage.programs.values()) if (program.fault) throw new Error(program.fault);
  };
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    const fail = () => reject(new Error(`${at}: not done after ${limitSeconds} s in all`));
    timer = setTimeout(fail, limitSeconds * 1000);
  });
  try {
    await Promise.race([run(), limit]);
  } finally {
    over = true;
    clearTimeout(timer);
  }
}

/** Runs jobs, so many at a time, those that have to be alone last and alone. */
export async function runJobs(jobs: readonly Job[], parallel: number): Promise<void> {
  const run = async ({ scenario, cast, ended }: Job) => ended(await runScenario(scenario, cast));
  const together = jobs.filter(({ scenario }) => !scenario.alone);
  const worker = async () => {
    for (let next = together.shift(); next; next = together.shift()) await run(next);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  for (const job of jobs.filter(({ scenario }) => scenario.alone)) await run(job);
}
