import { readFileSync } from "node:fs";
import type { ConnectorConfig } from "./config/config-types.js";
import {
  FrameSurvey,
  PRODUCTION_BASE_URL,
  SignInRefused,
  TelcoflowConnector,
  type TelcoflowCredentials,
  type TelcoflowOptions,
} from "./telephony/telcoflow/index.js";
import type { Connector } from "./telephony/telephony.js";
import type { Logger } from "./util/logger.js";
import { checkPem } from "./util/pem.js";

/** Makes the adapter that a connector names. The one place that knows which providers there are. */
export function makeConnector(config: ConnectorConfig, logger: Logger): Connector {
  if (config.kind !== "telcoflow") {
    throw new RangeError(`connectors: kind of ${config.name} must be one of: telcoflow`);
  }
  const options: TelcoflowOptions = {
    ...(config.options as Partial<TelcoflowOptions>),
    name: config.name,
    ...credentialsOf(config),
    ...(config.baseUrl ? { baseUrl: config.baseUrl } : {}),
    sampleRateHz: config.sampleRateHz,
    audioMode: config.audioMode,
    ...(config.callFlow ? { callFlow: config.callFlow } : {}),
  };
  return new TelcoflowConnector(options, { log: logger });
}

/**
 * Reads and checks what a configuration says now about the credentials of a connector that runs; the answer has it take them
 * up. Throws, naming connector and rule, when they cannot be used. All else of the configuration is left out.
 */
export function prepareCredentials(connector: Connector, config: ConnectorConfig): () => void {
  if (!(connector instanceof TelcoflowConnector)) return () => {};
  const credentials = credentialsOf(config);
  try {
    return connector.prepareCredentials(credentials);
  } catch (error) {
    const rule = error instanceof Error ? error.message : String(error);
    throw new RangeError(`connectors: ${config.name}: ${rule}`, { cause: error });
  }
}

/** Throws a RangeError that names the connector when OpenSSL cannot use the files. */
function credentialsOf({ name, auth }: ConnectorConfig): TelcoflowCredentials {
  const ca = auth.caFile === undefined ? {} : { ca: readFileSync(auth.caFile, "utf8") };
  const own =
    auth.certFile && auth.keyFile
      ? { cert: readFileSync(auth.certFile, "utf8"), key: readFileSync(auth.keyFile, "utf8") }
      : undefined;
  checkPem({ ...own, ...ca }, `connectors: auth of ${name}`);
  return { auth: own ?? { apiKey: auth.apiKey ?? "", connectorUuid: auth.connectorUuid ?? "" }, ...ca };
}

/** What a diagnosis has to know of an adapter. */
export interface Diagnosis {
  /** Where the provider is: ws:// or wss://. */
  readonly baseUrl: string;
  readonly connector: Connector;
  /** Frames that the adapter did not know, so far. */
  readonly survey: FrameSurvey;
  /** Whether start() was rejected because of the credential or the version. */
  isRefusal(error: unknown): boolean;
}

/** Makes the adapter with an observer of all that the provider sends. Changes nothing at the provider. */
export function makeDiagnosis(config: ConnectorConfig, logger: Logger): Diagnosis {
  const survey = new FrameSurvey();
  const { callFlow: _, ...quiet } = config;
  const observed = { ...quiet, options: { ...config.options, observer: survey.observe } };
  return {
    baseUrl: config.baseUrl ?? PRODUCTION_BASE_URL,
    connector: makeConnector(observed, logger),
    survey,
    isRefusal: (error) => error instanceof SignInRefused,
  };
}
