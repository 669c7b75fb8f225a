/** A reporter for vitest that says what the JSON report leaves out: errors outside of tests, which fail the run. */
export default class ErrorsReporter {
  onTestRunEnd(_modules, unhandledErrors) {
    for (const error of unhandledErrors) {
      console.log(`FAILED outside of a test: ${error.type ?? ""} ${error.stack ?? error.message}`);
      if (error.VITEST_TEST_PATH)
        console.log(`  in ${error.VITEST_TEST_PATH} ${error.VITEST_TEST_NAME ?? ""}`);
    }
  }
}
