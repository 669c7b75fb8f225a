/**
 * A reporter for vitest that says what the JSON report leaves out: errors outside of tests, which fail the run, and tests
 * that passed at the second try alone, with the error of the first.
 */
export default class ErrorsReporter {
  onTestCaseResult(test) {
    const { state, errors = [] } = test.result();
    if (state !== "passed" || (test.diagnostic()?.retryCount ?? 0) === 0) return;
    console.log(`passed at the second try: ${test.fullName}`);
    for (const error of errors) console.log(`  first: ${error.stack ?? error.message}`);
  }

  onTestRunEnd(_modules, unhandledErrors) {
    for (const error of unhandledErrors) {
      console.log(`FAILED outside of a test: ${error.type ?? ""} ${error.stack ?? error.message}`);
      if (error.VITEST_TEST_PATH)
        console.log(`  in ${error.VITEST_TEST_PATH} ${error.VITEST_TEST_NAME ?? ""}`);
    }
  }
}
