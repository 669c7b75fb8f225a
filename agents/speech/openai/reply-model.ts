import type OpenAI from "openai";
import { type ReplyModel, type ReplyPart, type ReplyRequest, SpeechError } from "../ports.js";
import { type OpenAiOptions, openAiClient, openAiError } from "./http.js";

/** Server, key and model that answers. */
export interface OpenAiReplyModelOptions extends OpenAiOptions {
  /** Model of `POST /chat/completions`. */
  readonly model: string;
  /** Longest reply, tokens. Default 300. */
  readonly maxTokens?: number;
  /** Newest turns sent to the model; older ones are left out. Default 40. */
  readonly maxTurns?: number;
}

const NAME = "openai-chat";
/** Bound of a tool call's arguments, characters. */
const MAX_ARGUMENTS = 16 * 1024;

/** Replies by `POST /chat/completions`, streamed, with tools. */
export class OpenAiReplyModel implements ReplyModel {
  readonly name = NAME;
  readonly #client: OpenAI;
  readonly #options: OpenAiReplyModelOptions;

  constructor(options: OpenAiReplyModelOptions) {
    this.#client = openAiClient(options);
    this.#options = options;
  }

  async *reply(request: ReplyRequest): AsyncGenerator<ReplyPart> {
    const calls = new Map<number, { name: string; arguments: string }>();
    try {
      const stream = await this.#client.chat.completions.create(
        {
          model: this.#options.model,
          max_completion_tokens: this.#options.maxTokens ?? 300,
          stream: true,
          messages: [
            { role: "system", content: request.instructions },
            ...request.turns.slice(-(this.#options.maxTurns ?? 40)).map((turn) => ({
              role: turn.role === "AI" ? ("assistant" as const) : ("user" as const),
              content: turn.text,
            })),
          ],
          tools: request.tools.map((tool) => ({ type: "function" as const, function: { ...tool } })),
        },
        request.signal ? { signal: request.signal } : {},
      );
      for await (const chunk of stream) {
        const delta = chunk.choices[0]?.delta;
        if (delta?.content) yield { kind: "TEXT", text: delta.content };
        for (const call of delta?.tool_calls ?? []) {
          const known = calls.get(call.index) ?? { name: "", arguments: "" };
          known.name += call.function?.name ?? "";
          known.arguments = (known.arguments + (call.function?.arguments ?? "")).slice(0, MAX_ARGUMENTS);
          calls.set(call.index, known);
        }
      }
    } catch (error) {
      throw openAiError(error, NAME);
    }
    for (const call of calls.values()) {
      yield { kind: "TOOL_CALL", name: call.name, arguments: parseArguments(call.arguments) };
    }
  }
}

function parseArguments(text: string): Record<string, unknown> {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // told below
  }
  throw new SpeechError("PROVIDER_FAILED", NAME, "called a tool with arguments that are no JSON object");
}
