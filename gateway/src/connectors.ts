import { readFileSync } from "node:fs";
import type { ConnectorConfig } from "./config/config-types.js";
import { TelcoflowConnector, type TelcoflowOptions } from "./telephony/telcoflow/index.js";
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
