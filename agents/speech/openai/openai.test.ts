import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ReplyPart } from "../ports.js";
import { OpenAiReplyModel } from "./reply-model.js";
import { OpenAiSpeechToText } from "./speech-to-text.js";
import { OpenAiTextToSpeech } from "./text-to-speech.js";

const KEY = "sk-test-not-a-key";

describe("OpenAI-compatible providers", () => {
  let server: Server;
  let baseUrl: string;
  let requests: Array<{ url: string; body: Buffer; authorization: string | undefined }>;
  let answer: (url: string, response: ServerResponse, nth: number) => void;

  beforeEach(async () => {
    requests = [];
    server = createServer((request: IncomingMessage, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const url = request.url ?? "";
        requests.push({ url, body: Buffer.concat(chunks), authorization: request.headers.authorization });
        response.setHeader("content-type", "application/json");
        answer(url, response, requests.length);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const options = (extra: { timeoutMs?: number } = {}) => ({
    baseUrl,
    apiKey: KEY,
    timeoutMs: 2_000,
    ...extra,
  });

  it("sends an utterance as one WAV file and gives its text", async () => {
    answer = (_url, response) => response.end(JSON.stringify({ text: " hello there " }));
    const stt = new OpenAiSpeechToText({ ...options(), model: "whisper-1" });
    const utterance = stt.utterance({ locale: "de-DE" });
    utterance.write(Buffer.alloc(6400, 1));
    expect(await utterance.finish()).toEqual({ text: "hello there" });
    expect(requests[0]?.url).toBe("/v1/audio/transcriptions");
    expect(requests[0]?.authorization).toBe(`Bearer ${KEY}`);
    const form = requests[0]?.body.toString("latin1") ?? "";
    expect(form).toContain("RIFF");
    expect(form).toMatch(/name="language"\s+de\s/);
    expect(form).toMatch(/name="model"\s+whisper-1\s/);
  });

  it("does not send an utterance too short to be one", async () => {
    const stt = new OpenAiSpeechToText({ ...options(), model: "whisper-1" });
    expect(await stt.utterance({ locale: "en" }).finish()).toEqual({ text: "" });
    expect(requests).toHaveLength(0);
  });

  it("fails on an answer that is no transcription", async () => {
    answer = (_url, response) => response.end(JSON.stringify({ words: [] }));
    const stt = new OpenAiSpeechToText({ ...options(), model: "whisper-1" });
    const utterance = stt.utterance({ locale: "en" });
    utterance.write(Buffer.alloc(6400, 1));
    await expect(utterance.finish()).rejects.toMatchObject({ reason: "PROVIDER_FAILED" });
  });

  it("tries once more after a failure of the server, then gives up without telling the key", async () => {
    answer = (_url, response) => response.writeHead(503).end(JSON.stringify({ error: { message: KEY } }));
    const stt = new OpenAiSpeechToText({ ...options(), model: "whisper-1" });
    const utterance = stt.utterance({ locale: "en" });
    utterance.write(Buffer.alloc(6400, 1));
    const error = await utterance.finish().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ reason: "PROVIDER_FAILED", provider: "openai-transcription" });
    expect(String(error)).not.toContain(KEY);
    expect(requests).toHaveLength(2);
  });

  it("succeeds at the second try", async () => {
    answer = (_url, response, nth) =>
      nth === 1 ? response.writeHead(500).end() : response.end(JSON.stringify({ text: "again" }));
    const stt = new OpenAiSpeechToText({ ...options(), model: "whisper-1" });
    const utterance = stt.utterance({ locale: "en" });
    utterance.write(Buffer.alloc(6400, 1));
    expect((await utterance.finish()).text).toBe("again");
  });

  it("gives up on a server that does not answer", async () => {
    answer = () => {};
    const tts = new OpenAiTextToSpeech({ ...options({ timeoutMs: 100 }), model: "tts-1", voice: "alloy" });
    await expect(tts.speak("hello", { locale: "en" })).rejects.toMatchObject({ reason: "PROVIDER_FAILED" });
    expect(requests).toHaveLength(2);
  }, 15_000);

  it("streams speech in whole samples whatever the server's chunks", async () => {
    answer = (_url, response) => {
      response.write(Buffer.from([1, 2, 3]));
      setImmediate(() => response.end(Buffer.from([4, 5, 6])));
    };
    const tts = new OpenAiTextToSpeech({ ...options(), model: "tts-1", voice: "alloy" });
    const audio = await tts.speak("hello", { locale: "en", voice: "nova" });
    const chunks: Buffer[] = [];
    for await (const chunk of audio.chunks) chunks.push(chunk);
    expect(audio.sampleRateHz).toBe(24_000);
    expect(chunks.every((chunk) => chunk.length % 2 === 0)).toBe(true);
    expect(Buffer.concat(chunks)).toEqual(Buffer.from([1, 2, 3, 4, 5, 6]));
    expect(JSON.parse(requests[0]?.body.toString() ?? "{}")).toEqual({
      model: "tts-1",
      voice: "nova",
      input: "hello",
      response_format: "pcm",
    });
  });

  it("fails on speech that stops in the middle", async () => {
    answer = (_url, response) => response.write(Buffer.alloc(640));
    const tts = new OpenAiTextToSpeech({ ...options({ timeoutMs: 200 }), model: "tts-1", voice: "alloy" });
    const audio = await tts.speak("hello", { locale: "en" });
    const run = async () => {
      for await (const _ of audio.chunks) {
        // the first chunk comes
      }
    };
    await expect(run()).rejects.toMatchObject({ reason: "PROVIDER_FAILED" });
  });

  it("gives the words of a reply as they come, then its tool call", async () => {
    const deltas = [
      { content: "One " },
      { content: "moment." },
      {
        tool_calls: [{ index: 0, id: "c", function: { name: "escalate_to_human", arguments: '{"reason":' } }],
      },
      { tool_calls: [{ index: 0, function: { arguments: '"FRUSTRATED"}' } }] },
    ];
    answer = (_url, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const delta of deltas)
        response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta }] })}\n\n`);
      response.end("data: [DONE]\n\n");
    };
    const model = new OpenAiReplyModel({ ...options(), model: "gpt-test" });
    const parts: ReplyPart[] = [];
    const request = {
      turns: [
        { role: "AI" as const, text: "Hello." },
        { role: "CALLER" as const, text: "Get me a human!" },
      ],
      locale: "en",
      instructions: "Be kind.",
      tools: [{ name: "escalate_to_human", description: "…", parameters: { type: "object" } }],
    };
    for await (const part of model.reply(request)) parts.push(part);
    expect(parts).toEqual([
      { kind: "TEXT", text: "One " },
      { kind: "TEXT", text: "moment." },
      { kind: "TOOL_CALL", name: "escalate_to_human", arguments: { reason: "FRUSTRATED" } },
    ]);
    const sent = JSON.parse(requests[0]?.body.toString() ?? "{}");
    expect(sent.messages.map((message: { role: string }) => message.role)).toEqual([
      "system",
      "assistant",
      "user",
    ]);
    expect(sent.tools[0].function.name).toBe("escalate_to_human");
  });

  it("fails on a tool call whose arguments are no JSON", async () => {
    const delta = { tool_calls: [{ index: 0, id: "c", function: { name: "end_call", arguments: "{no" } }] };
    answer = (_url, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(`data: ${JSON.stringify({ choices: [{ index: 0, delta }] })}\n\ndata: [DONE]\n\n`);
    };
    const model = new OpenAiReplyModel({ ...options(), model: "gpt-test" });
    const run = async () => {
      for await (const _ of model.reply({ turns: [], locale: "en", instructions: "", tools: [] })) {
        // nothing to do with it
      }
    };
    await expect(run()).rejects.toMatchObject({ reason: "PROVIDER_FAILED" });
  });

  it("aborts a reply that nobody waits for", async () => {
    answer = () => {};
    const cancel = new AbortController();
    const model = new OpenAiReplyModel({ ...options(), model: "gpt-test" });
    const run = async () => {
      const request = { turns: [], locale: "en", instructions: "", tools: [], signal: cancel.signal };
      for await (const _ of model.reply(request)) {
        // nothing comes
      }
    };
    const result = run();
    cancel.abort();
    await expect(result).rejects.toMatchObject({ reason: "ABORTED" });
  });
});
