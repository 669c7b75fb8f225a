import { pathToFileURL } from "node:url";
import { ConfigError } from "./config/config-error.js";
import type { RedactionConfig } from "./config/config-types.js";
import type { Logger } from "./util/logger.js";
import { Redactor } from "./util/redact.js";

/**
 * The redactor of the configuration. Loads the hook's module, so that a broken one stops the start and not a call.
 * @throws ConfigError when the hook cannot be loaded or exports no function
 */
export async function openRedactor(config: RedactionConfig, logger: Logger): Promise<Redactor> {
  const { cards, ibans, emails, patterns, hookFile } = config;
  const hook = hookFile === undefined ? undefined : await loadHook(hookFile);
  return new Redactor({
    cards,
    ibans,
    emails,
    patterns: patterns.map(({ name, pattern, mark }) => ({ name, mark, pattern: new RegExp(pattern, "gu") })),
    ...(hook && {
      hook,
      onHookFailed: (error) =>
        logger.error({ err: String(error) }, "redaction hook failed: the text is not kept"),
    }),
  });
}

async function loadHook(file: string): Promise<(text: string) => unknown> {
  const loaded = await import(pathToFileURL(file).href).then(
    (module) => (module as { readonly default?: unknown }).default,
    (error: unknown) => {
      throw hookFault(file, `cannot be loaded: ${String(error)}`);
    },
  );
  if (typeof loaded !== "function") throw hookFault(file, "must export a function as default");
  return loaded as (text: string) => unknown;
}

function hookFault(file: string, rule: string): ConfigError {
  return new ConfigError([{ file, line: 0, column: 0, key: "contexts.redaction.hook_file", rule }]);
}
