import { readFileSync } from "node:fs";
import type { ConnectorConfig } from "./config/config-types.js";
import {
  FrameSurvey,
  PRODUCTION_BASE_URL,
  SignInRefused,
  TelcoflowConnector,
  type TelcoflowOptions,
} from "./telephony/telcoflow/index.js";
import type { Connector } from "./telephony/telephony.js";
import type { Logger } from "./util/logger.js";

/** Makes the adapter that a connector names. The one place that knows which providers there are. */
export function makeConnector(config: ConnectorConfig, logger: Logger): Connector {
  if (config.kind !== "telcoflow") {
    throw new RangeError(`connectors: kind of ${config.name} must be one of: telcoflow`);
  }
  const { auth } = config;
  const options: TelcoflowOptions = {
    ...(config.options as Partial<TelcoflowOptions>),
    name: config.name,
    auth:
      auth.certFile && auth.keyFile
        ? { cert: readFileSync(auth.certFile, "utf8"), key: readFileSync(auth.keyFile, "utf8") }
        : { apiKey: auth.apiKey ?? "", connectorUuid: auth.connectorUuid ?? "" },
    ...(auth.caFile ? { ca: readFileSync(auth.caFile, "utf8") } : {}),
    ...(config.baseUrl ? { baseUrl: config.baseUrl } : {}),
    sampleRateHz: config.sampleRateHz,
    audioMode: config.audioMode,
    ...(config.callFlow ? { callFlow: config.callFlow } : {}),
  };
  return new TelcoflowConnector(options, { log: logger });
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
