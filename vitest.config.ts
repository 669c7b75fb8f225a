import { defineConfig } from "vitest/config";

/** What is waited for may take its time on a busy machine; by default a poll gives up after a second. */
const PATIENT = { poll: { timeout: 15_000 } };

/** `unit`: beside the sources, no sockets. `integration`: real processes and sockets on loopback, two files at a time. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: [
            "{gateway,simulator,proto,desk}/src/**/*.test.ts",
            "agents/**/*.test.ts",
            "clients/typescript/src/**/*.test.ts",
            "{demo,scripts,bench}/**/*.test.ts",
            "test/docs/**/*.test.ts",
            "test/faults/table.test.ts",
          ],
          exclude: ["**/node_modules/**"],
          testTimeout: 30_000,
          hookTimeout: 30_000,
          expect: PATIENT,
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/{integration,conformance,desk,faults,sdk-proof}/**/*.test.ts"],
          exclude: ["**/node_modules/**", "test/faults/table.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: PATIENT,
          // Files mostly wait for each other's processes; two at a time halve the time on two cores.
          maxWorkers: 2,
          // On a busy machine a test of a real process may lose a race that says nothing of the product. It is told as
          // "passed at the second try" (scripts/vitest-errors.mjs), so that it does not stay unseen.
          retry: process.env.CI === "true" ? 1 : 0,
        },
      },
    ],
  },
});
