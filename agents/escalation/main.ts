import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { agent, CallweaveError, connect } from "callweave";
import { Command, InvalidArgumentError, Option } from "commander";
import { EscalationAgent } from "./agent.js";
import { bindCall } from "./call-binding.js";
import { type LogFormat, makeLog } from "./log.js";
import { makeSpeech, SPEECH_KINDS, type SpeechKind } from "./speech-setup.js";

/** Audio asked for at registration: what recognition takes and the offline voices give, so that nothing is resampled here. */
const SAMPLE_RATE_HZ = 16_000;

/** The command line, parsed; see {@link command} for meaning, units and defaults. */
export interface AgentFlags {
  readonly gateway: readonly string[];
  readonly tls: boolean;
  readonly pool: string;
  readonly agentId: string;
  readonly capacity: number;
  readonly speech: SpeechKind;
  readonly reply?: "rules" | "openai";
  readonly script?: string;
  readonly voice?: string;
  readonly locale: string;
  readonly prompts?: string;
  readonly ringSeconds: number;
  readonly escalationPool: string;
  readonly routingHint: string;
  readonly silenceMs: number;
  readonly drainMs: number;
  readonly log: LogFormat;
  readonly openaiUrl?: string;
  readonly transcriptionModel: string;
  readonly speechModel: string;
  readonly chatModel: string;
}

const wholeNumber = (min: number, max: number) => (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new InvalidArgumentError(`A whole number from ${min} to ${max}.`);
  }
  return value;
};

/** The command line. Keys come from the environment alone: CALLWEAVE_TOKEN for the gateway, OPENAI_API_KEY for the models. */
export function command(): Command {
  return new Command("agent")
    .description("Answers calls, helps by rules or a model, and hands them to a human.")
    .addHelpText(
      "after",
      "\nEnvironment: CALLWEAVE_TOKEN (gateway), OPENAI_API_KEY (with openai), CALLWEAVE_PYTHON (local).",
    )
    .option("--gateway <host:port...>", "gateways; the next one when one is away", ["127.0.0.1:7070"])
    .option("--tls", "use TLS to the gateway", false)
    .option("--pool <name>", "pool to take calls from", "default")
    .option("--agent-id <id>", "name of this agent, shared by its processes", "escalation")
    .option("--capacity <n>", "calls at a time", wholeNumber(1, 1000), 10)
    .addOption(new Option("--speech <kind>", "who hears and speaks").choices(SPEECH_KINDS).default("local"))
    .addOption(new Option("--reply <kind>", "who answers").choices(["rules", "openai"]))
    .option("--script <path>", "callers' sentences as JSON lines, - for standard input (scripted)")
    .option("--voice <name>", "voice: slt, rms, awb, kal16 (local), or one of the server's")
    .option("--locale <tag>", "language of calls whose route gives none", "en")
    .option("--prompts <folder>", "folder with <locale>.yaml of your own")
    .option("--ring-seconds <n>", "how long the human is rung", wholeNumber(1, 120), 30)
    .option("--escalation-pool <name>", "pool of humans to ask before the original callee rings", "")
    .option("--routing-hint <text>", "hint for the human side", "")
    .option("--silence-ms <n>", "silence before the caller is asked", wholeNumber(1000, 120_000), 6000)
    .option("--drain-ms <n>", "how long calls may go on after SIGTERM", wholeNumber(0, 86_400_000), 60_000)
    .addOption(
      new Option("--log <format>", "log lines on standard error")
        .choices(["json", "text", "off"])
        .default("text"),
    )
    .addOption(
      new Option("--openai-url <url>", "base URL of an OpenAI-compatible server").env("OPENAI_BASE_URL"),
    )
    .option("--transcription-model <name>", "model that hears (openai)", "whisper-1")
    .option("--speech-model <name>", "model that speaks (openai)", "tts-1")
    .option("--chat-model <name>", "model that answers (openai)", "gpt-4o-mini");
}

/** Run the agent until it is told to stop. Resolves with the exit status. */
export async function main(flags: AgentFlags, env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const log = makeLog(flags.log);
  const speech = await makeSpeech(
    {
      kind: flags.speech,
      reply: flags.reply,
      voice: flags.voice,
      script: flags.script,
      openAi: {
        apiKey: env.OPENAI_API_KEY ?? "",
        baseUrl: flags.openaiUrl,
        transcriptionModel: flags.transcriptionModel,
        speechModel: flags.speechModel,
        voice: flags.voice ?? "alloy",
        chatModel: flags.chatModel,
      },
    },
    log,
  );
  const escalation = await EscalationAgent.create({
    speech,
    log,
    locale: flags.locale,
    promptsDir: flags.prompts,
    session: {
      ringSeconds: flags.ringSeconds,
      silenceMs: flags.silenceMs,
      pool: flags.escalationPool,
      routingHint: flags.routingHint,
    },
  });
  const endpoints = flags.gateway.flatMap((item) => item.split(",")).filter(Boolean);
  const connection = { endpoints, tls: flags.tls };
  const client = connect(connection);
  const talks = new Set<Promise<unknown>>();
  const worker = agent(
    {
      ...connection,
      agentId: flags.agentId,
      pool: flags.pool,
      capacity: flags.capacity,
      audioFormat: { encoding: "S16LE", sampleRateHertz: SAMPLE_RATE_HZ },
      answerOnAccept: false,
      labels: { speech: speech.stt.name, reply: speech.model?.name ?? "rules", locale: flags.locale },
      drainTimeoutMs: flags.drainMs,
      onStatus: (status) => {
        if (status.type === "disconnected") {
          log("disconnected", { reason: status.error.reason, retry_in_ms: status.retryInMs });
        } else log(status.type, status.type === "connected" ? { gateway_id: status.gatewayId } : {});
      },
      onError: (error, callId) => log("error", { call_id: callId, error: describe(error) }),
    },
    async (call) => {
      // With caller and human together already there is nothing left to do but to leave.
      if (call.state === "CONNECTED") return;
      const port = bindCall(call, client.contexts, {
        onPlayError: (error) => {
          if (!call.signal.aborted) log("audio_refused", { call_id: call.id, error: describe(error) });
        },
      });
      const talk = escalation.handle(port);
      talks.add(talk);
      await talk.finally(() => talks.delete(talk));
    },
  );
  worker.drainOnSignals();
  let status = 0;
  try {
    worker
      .start()
      .then(() => {
        log("ready", { pool: flags.pool, speech: speech.stt.name, reply: speech.model?.name ?? "rules" });
        return escalation.preload();
      })
      .catch((error) => log("not_preloaded", { error: describe(error) }));
    await worker.run();
  } catch (error) {
    log("stopped", { error: describe(error) });
    status = 1;
  }
  // What is still to be written of the last calls.
  await Promise.allSettled(talks);
  client.close();
  await speech.close();
  return status;
}

/** The kind of an error without anything that could be said or secret in it. */
function describe(error: unknown): string {
  if (error instanceof CallweaveError) return error.reason;
  return error instanceof Error ? `${error.name}: ${error.message.slice(0, 200)}` : "unknown";
}

function isMain(): boolean {
  try {
    return realpathSync(process.argv[1] ?? "") === fileURLToPath(import.meta.url);
  } catch {
    return false;
  }
}

if (isMain()) {
  const program = command().parse();
  main(program.opts<AgentFlags>()).then(
    (status) => process.exit(status),
    (error) => {
      process.stderr.write(`agent: ${describe(error)}\n`);
      process.exit(1);
    },
  );
}
