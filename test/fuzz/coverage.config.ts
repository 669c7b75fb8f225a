import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/**
 * Everything that reads what comes from outside: each has to be covered by its unit tests and the fuzzer together. The
 * connections and sessions that these are called from need sockets and time for the rest of their lines: those are
 * the business of test/integration, which is not measured here.
 */
export const PARSERS = [
  "gateway/src/audio/wav.ts",
  "gateway/src/bus/subjects.ts",
  "gateway/src/config/config-source.ts",
  "gateway/src/config/load-config.ts",
  "gateway/src/config/yaml-depth.ts",
  "gateway/src/context/place-token.ts",
  "gateway/src/contract/convert-command.ts",
  "gateway/src/contract/page-token.ts",
  "gateway/src/contract/principal.ts",
  "gateway/src/contract/proto-json.ts",
  "gateway/src/contract/validate.ts",
  "gateway/src/desk/origins.ts",
  "gateway/src/desk/tickets.ts",
  "gateway/src/events/cursor.ts",
  "gateway/src/nats/messages.ts",
  "gateway/src/nats/wire-subjects.ts",
  "gateway/src/telephony/telcoflow/frame-splitter.ts",
  "gateway/src/telephony/telcoflow/frames.ts",
  "gateway/src/telephony/telcoflow/redact.ts",
  "gateway/src/telephony/telcoflow/validators.ts",
  "gateway/src/util/numbers.ts",
  "gateway/src/util/redact.ts",
  "gateway/src/util/tagged-json.ts",
];

/** `npm run fuzz -- --coverage`: the lines of the parsers that unit tests and the fuzzer reach. */
export default defineConfig({
  root: fileURLToPath(new URL("../../", import.meta.url)),
  test: {
    include: [
      "gateway/src/{audio,config,contract,desk,util}/**/*.test.ts",
      "gateway/src/telephony/telcoflow/{frame-splitter,frames,redact,validators}.test.ts",
      "test/fuzz/targets.test.ts",
    ],
    testTimeout: 60_000,
    maxWorkers: 2,
    reporters: ["./scripts/vitest-errors.mjs"],
    coverage: {
      enabled: true,
      provider: "v8",
      include: PARSERS,
      reporter: ["text"],
      thresholds: { lines: 95, perFile: true },
    },
  },
});
