import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { resample, type SimCall, sharedVoice, type VoiceName } from "@callweave/simulator";
import { loadPrompts } from "../agents/escalation/prompts.js";
import { ensureSpeechPython } from "../agents/speech/python/install.mjs";
import { drawCall } from "./call-svg.js";
import { type DemoOptions, HELP, parseOptions, UsageError } from "./options.js";
import { playCall } from "./play.js";
import { defaultFolder, writeRecordings } from "./recordings.js";
import { checkLines, closingLines, contextLines, openingLines } from "./report.js";
import { type DemoResult, resultOf } from "./result.js";
import { CALLER_NUMBER, makeScenario } from "./scenario.js";
import { startDemoStack } from "./stack.js";
import { type TimelineLine, TimelinePrinter } from "./timeline.js";
import { verify } from "./verifier.js";

const print = (text: string) => process.stdout.write(`${text}\n`);

/** What has to be taken down when the demo is broken off. */
let takeDown: (() => Promise<void>) | undefined;

/** For people: nothing is said by itself. Resolves when `ended` does. */
async function open(options: DemoOptions, ended: Promise<void>): Promise<void> {
  const { found, why } = await ensureSpeechPython();
  if (!found && options.requireSpeech) throw new Error("speech recognition is required here");
  print("Starting simulated provider, gateway and agent …");
  const stack = await startDemoStack({
    playOutMs: options.playOutMs,
    speech: found ? "local" : "scripted",
    sentences: [],
    speaker: CALLER_NUMBER,
    agentFlags: [],
    pages: true,
    onStarting: (stop) => {
      takeDown = stop;
    },
  });
  print(openingLines(stack.simulator.httpUrl, stack.deskPort ?? 0, found ? undefined : why).join("\n"));
  await ended;
}

async function run(options: DemoOptions): Promise<DemoResult> {
  const { found, why } = await ensureSpeechPython();
  const speechToText = found ? "pocketsphinx" : "scripted";
  if (found)
    print("Callweave demo. The caller is understood by speech recognition on this machine (pocketsphinx).");
  else
    print(
      `Callweave demo. No speech recognition on this machine (${why}): the caller's words are given to the agent.`,
    );
  if (!found && options.requireSpeech) throw new Error("speech recognition is required here");

  const prompts = loadPrompts("en");
  let call: SimCall | undefined;
  const scenario = makeScenario(options, prompts, () => call);
  print(`Caller ${options.caller}, callee ${options.callee}: ${scenario.title}.`);
  print("Starting simulated provider, gateway and agent …");
  const { callerSaid } = scenario.expectation;
  const stack = await startDemoStack({
    playOutMs: options.playOutMs,
    speech: found ? "local" : "scripted",
    sentences: callerSaid.map(({ text, understood }) => (understood ? text : "")),
    speaker: CALLER_NUMBER,
    agentFlags: scenario.agentFlags,
    onStarting: (stop) => {
      takeDown = stop;
    },
  });
  const lines: TimelineLine[] = [];
  const printer = new TimelinePrinter((text) => process.stdout.write(text), coloured());
  try {
    const evidence = await playCall(stack, scenario, (placed) => (call = placed), {
      speechToText,
      variant: { caller: options.caller, callee: options.callee },
      onLine: (line) => {
        lines.push(line);
        printer.line(line);
      },
    });
    printer.flush();
    const verdict = await verify(evidence, scenario.expectation, async (text, voice) => {
      const spoken = await sharedVoice.say(text, voice as VoiceName);
      return resample(spoken.samples, spoken.sampleRate, evidence.sampleRateHz);
    });
    const folder = options.out ?? defaultFolder(new Date());
    const svg = drawCall(evidence, verdict, lines);
    const result = resultOf(evidence, verdict, await writeRecordings(folder, evidence, svg));
    await writeFile(join(folder, "result.json"), `${JSON.stringify(result, null, 2)}\n`);
    if (evidence.context)
      print(["", "The context, as the desk reads it:", ...contextLines(evidence.context)].join("\n"));
    print(["", "Checked on the recordings and the gateway's API:", ...checkLines(verdict.checks)].join("\n"));
    if (!result.ok) print(["", "What gateway and agent logged:", ...stack.complaints()].join("\n  "));
    if (scenario.remark) print(`\n${scenario.remark}`);
    print(`\n${result.ok ? "ok" : "NOT ok"}: ${scenario.title}. Recordings and picture: ${folder}`);
    return result;
  } finally {
    takeDown = undefined;
    await stack.stop();
    await sharedVoice.close();
  }
}

function coloured(): boolean {
  return process.stdout.isTTY === true && process.env.CI === undefined && process.env.NO_COLOR === undefined;
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2), process.env);
  if (options === "help") {
    print(HELP);
    return 0;
  }
  const breakOff = (status: number) => {
    const stopped = takeDown?.() ?? Promise.resolve();
    void stopped.finally(() => process.exit(status));
  };
  process.once("SIGINT", () => breakOff(130));
  process.once("SIGTERM", () => breakOff(143));
  // Nobody reads any more, as with `| head`.
  process.stdout.once("error", () => breakOff(141));
  try {
    if (options.open) {
      // Until it is broken off, which ends the process.
      await open(options, new Promise(() => {}));
      return 0;
    }
    const result = await run(options);
    if (!options.once) print(closingLines(result).join("\n"));
    if (options.json) print(JSON.stringify(result));
    return result.ok ? 0 : 1;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    process.stderr.write(`demo: ${text}\n`);
    if (options.json)
      print(JSON.stringify({ ok: false, caller: options.caller, callee: options.callee, error: text }));
    return 1;
  }
}

/** Ends when all that was printed is out. */
function exit(status: number): void {
  process.stdout.write("", () => process.exit(status));
}

main().then(exit, (error: unknown) => {
  const usage = error instanceof UsageError;
  process.stderr.write(`demo: ${usage ? `${error.message}\n\n${HELP}` : String(error)}\n`);
  exit(usage ? 2 : 1);
});
