import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { CallerScript } from "./caller-script.js";
import { ScriptedSpeechToText } from "./scripted-speech-to-text.js";

const next = async (stt: ScriptedSpeechToText, speaker: string) =>
  (await stt.utterance({ locale: "en", speaker }).finish()).text;

describe("ScriptedSpeechToText", () => {
  it("gives each caller the sentences in order, then nothing", async () => {
    const stt = new ScriptedSpeechToText(CallerScript.of(["one", "two"]), { waitMs: 0 });
    expect([await next(stt, "a"), await next(stt, "b"), await next(stt, "a"), await next(stt, "a")]).toEqual([
      "one",
      "one",
      "two",
      "",
    ]);
  });

  it("goes on where another process left off", async () => {
    const stt = new ScriptedSpeechToText(CallerScript.of(["one", "two", "three"]), { waitMs: 0 });
    stt.skipTo("a", 2);
    expect(await next(stt, "a")).toBe("three");
  });

  it("waits for a sentence that comes later on the stream", async () => {
    const stream = new PassThrough();
    const stt = new ScriptedSpeechToText(CallerScript.fromStream(stream), { waitMs: 5_000 });
    const text = next(stt, "a");
    stream.write('not json\n{"at": 0, "text": "for b", "speaker": "b"}\n{"at": 0, "text": "late"}\n');
    expect(await text).toBe("late");
    expect(await next(stt, "b")).toBe("for b");
    await stt.close();
  });

  it("reads a file, and again when it changes", async () => {
    const folder = mkdtempSync(join(tmpdir(), "script-"));
    const path = join(folder, "caller.jsonl");
    writeFileSync(path, '{"at": 0, "text": "one"}\n');
    const stt = new ScriptedSpeechToText(await CallerScript.fromFile(path), { waitMs: 10_000 });
    expect(await next(stt, "a")).toBe("one");
    const second = next(stt, "a");
    writeFileSync(path, '{"at": 0, "text": "one"}\n{"at": 1, "text": "two"}\n');
    expect(await second).toBe("two");
    await stt.close();
    rmSync(folder, { recursive: true });
  });

  it("keeps so many sentences, and takes a correction of one of them", async () => {
    const script = new CallerScript(1);
    script.add({ at: 0, text: "one" });
    script.add({ at: 1, text: "too many" });
    script.add({ at: 0, text: "uno" });
    expect(await script.sentence("a", 0, 0)).toBe("uno");
    expect(await script.sentence("a", 1, 0)).toBeUndefined();
  });

  it("answers an aborted utterance with ABORTED", async () => {
    const stt = new ScriptedSpeechToText(CallerScript.of([]), { waitMs: 60_000 });
    const utterance = stt.utterance({ locale: "en" });
    const text = utterance.finish();
    utterance.abort();
    await expect(text).rejects.toMatchObject({ reason: "ABORTED" });
  });
});
