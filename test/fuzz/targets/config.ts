import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { stringify } from "yaml";
import { ConfigError } from "../../../gateway/src/config/config-error.js";
import { loadConfig } from "../../../gateway/src/config/index.js";
import { broken, damagedText, edge, json, mostly, text, word } from "../inputs.js";
import { must, target } from "../target.js";

/** Stands where a secret stands; no error may show it. */
const SECRET = "s3cr3t-KEY-0123456789abcdef";

const section = fc.oneof(
  { weight: 3, arbitrary: broken(fc.constant({ id: "g-1", grpc: { port: 0, host: "127.0.0.1" } })) },
  { weight: 1, arbitrary: json },
);
const whole = broken(
  fc.record({
    gateway: section,
    connectors: fc.array(
      broken(
        fc.record({
          name: mostly("main", "other"),
          kind: fc.constant("telcoflow"),
          base_url: mostly("wss://example.com", "ws://127.0.0.1:1", "http://x", SECRET),
          auth: broken(fc.constant({ api_key: SECRET, connector_uuid: "u-1" })),
          sample_rate_hz: fc.oneof(mostly(8_000, 16_000, 24_000), edge),
        }),
      ),
      { maxLength: 2 },
    ),
    routes: fc.array(
      broken(
        fc.record({
          callee: fc.oneof(mostly("+15550100", "+1555*", "*"), word),
          pool: mostly("default", "sales"),
        }),
      ),
      { maxLength: 3 },
    ),
    pools: fc.array(broken(fc.record({ name: mostly("default", "sales"), offer_timeout_ms: edge })), {
      maxLength: 3,
    }),
  }) as fc.Arbitrary<Record<string, unknown>>,
);

/** Aliases of aliases: nine lines that would be a billion nodes. */
const bomb = fc
  .tuple(fc.integer({ min: 2, max: 9 }), fc.integer({ min: 2, max: 9 }))
  .map(([depth, width]) => {
    const names = "abcdefghijk";
    const lines = [`x-${names[0]}: &${names[0]} [1, 2, 3, 4, 5, 6, 7, 8, 9]`];
    for (let i = 1; i < depth; i++)
      lines.push(
        `x-${names[i]}: &${names[i]} [${Array(width)
          .fill(`*${names[i - 1]}`)
          .join(", ")}]`,
      );
    return lines.join("\n");
  });
const nested = fc
  .tuple(mostly("[", "{a: ", "- ", "? ", "&a [", "!!set {"), mostly(10, 100, 1_000, 3_000))
  .map(([open, times]) => open.repeat(times));

const files = fc.oneof(
  { weight: 8, arbitrary: whole.map((value) => stringify(value)) },
  { weight: 5, arbitrary: damagedText(whole.map((value) => stringify(value))) },
  {
    weight: 1,
    arbitrary: damagedText(fc.constant(`connectors:\n  - auth:\n      api_key: ${SECRET}\n  ${SECRET}: [`)),
  },
  { weight: 1, arbitrary: bomb },
  { weight: 1, arbitrary: nested },
  { weight: 2, arbitrary: text },
);

const env = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.dictionary(
      mostly("CALLWEAVE_CONFIG_X", "CALLWEAVE_API_KEYS", "NATS_URL", "MONGODB_URL", "HOME"),
      word,
      {
        maxKeys: 2,
      },
    ),
  },
);

const file = join(tmpdir(), `callweave-fuzz-${process.pid}.yaml`);
process.once("exit", () => rmSync(file, { force: true }));

export const configTargets = [
  target({
    name: "config",
    what: "configuration files and the environment",
    area: "config",
    weight: 2,
    boundMs: 1_000,
    inputs: fc.tuple(files, env),
    run: ([yaml, environment]) => {
      writeFileSync(file, yaml);
      try {
        const config = loadConfig({ file, env: environment, cwd: tmpdir() });
        must(config.pools.length > 0, "a configuration has a pool");
      } catch (error) {
        must(
          error instanceof ConfigError,
          "a refusal is a ConfigError",
          String((error as Error).stack ?? error),
        );
        must(error.problems.length > 0, "with the problems found");
        for (const { rule } of error.problems) must(rule !== "", "each with its rule", error.problems);
        // Where the key of a section is the secret itself, the place has to name it.
        const named = new RegExp(`^\\s*(- )?${SECRET}|^[^:\\n]*${SECRET}[^:\\n]*:`, "m").test(yaml);
        if (!named) must(!error.message.includes(SECRET), "no secret stands in an error", error.message);
      }
      must(({} as Record<string, unknown>).polluted === undefined, "no prototype is touched");
    },
  }),
];
