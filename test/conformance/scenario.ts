import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { z } from "zod";
import { STEPS, type StepArguments, type StepName } from "./steps-schema.js";

const FOLDER = fileURLToPath(new URL("./scenarios/", import.meta.url));

/** A step with its arguments. */
export type Step = {
  readonly [N in StepName]: { readonly name: N; readonly args: StepArguments<N> };
}[StepName];

const step = z.unknown().transform((value, context): Step => {
  const entries = value && typeof value === "object" ? Object.entries(value) : [];
  const [name, args] = entries[0] ?? [];
  const schema = name !== undefined && entries.length === 1 ? STEPS[name as StepName] : undefined;
  if (!schema) {
    const message = `must have one key of ${Object.keys(STEPS).join(", ")}; it has "${entries.map(([key]) => key)}"`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  }
  const parsed = schema.safeParse(args ?? {});
  if (parsed.success) return { name, args: parsed.data } as Step;
  for (const issue of parsed.error.issues) {
    context.addIssue({ code: "custom", message: issue.message, path: [name as string, ...issue.path] });
  }
  return z.NEVER;
});

const scenario = z.strictObject({
  name: z.string().regex(/^[a-z0-9-]+$/),
  /** What is right when it passes. */
  shows: z.string(),
  /** Needs both cores: it runs when no other does. */
  alone: z.boolean().default(false),
  limitSeconds: z.int().min(1).max(300).default(90),
  gateway: z
    .strictObject({
      sampleRateHz: z.literal([8000, 16_000, 24_000]).default(16_000),
      pools: z.array(z.record(z.string(), z.unknown())).optional(),
      routes: z.array(z.record(z.string(), z.unknown())).default([{ unserved: "queue" }]),
      playback: z.record(z.string(), z.unknown()).optional(),
      keys: z.array(z.strictObject({ name: z.string(), key: z.string() })).optional(),
      /** TLS with an authority of its own, `$file:ca.pem`; mutual: with `$file:agent.pem` and `$file:agent.key` too. */
      tls: z.enum(["server", "mutual"]).optional(),
      /** Tokens of an issuer are good, see the step `token`. */
      tokens: z.boolean().default(false),
    })
    .prefault({}),
  /** Options of the simulator. */
  simulator: z.record(z.string(), z.unknown()).default({}),
  /** The programs that are of another language. */
  others: z.array(z.string()).default([]),
  steps: z.array(step).min(1),
});

/** A scenario. */
export type Scenario = z.infer<typeof scenario>;

/** The scenarios of a YAML text, a list. Throws an error that names scenario, step and rule. */
export function parseScenarios(text: string, source: string): Scenario[] {
  const list = parse(text) as unknown[];
  return list.map((entry, index) => {
    const parsed = scenario.safeParse(entry);
    if (parsed.success) return parsed.data;
    const title = (entry as { name?: string } | null)?.name ?? `number ${index + 1}`;
    throw new Error(`${source}: scenario ${title}: ${z.prettifyError(parsed.error)}`);
  });
}

/** All scenarios, in the order of the files. Throws when one is not well-formed or a name comes twice. */
export function loadScenarios(folder = FOLDER): Scenario[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".yaml"));
  const all = files.sort().flatMap((file) => parseScenarios(readFileSync(join(folder, file), "utf8"), file));
  const twice = all.find(({ name }, index) => all.findIndex((other) => other.name === name) !== index);
  if (twice) throw new Error(`two scenarios are called ${twice.name}`);
  return all;
}
