/**
 * `npm run demo:desk [-- --once] [--json] [--pictures DIR]`: a caller is handed over to a person in a browser, headless.
 * The last line is the result as JSON.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ContextStatus, EscalationReason } from "@callweave/proto";
import { callee, type Script, say, wait } from "@callweave/simulator";
import { connect } from "callweave";
import type { Page } from "playwright-core";
import { type Violation, violationsOf } from "./axe.js";
import { heardBy, TestBrowser } from "./browser.js";
import { resemblance } from "./resemblance.js";
import { CALL_RATE, Stage, speak, spoken, turnsOf } from "./stage.js";

const CALLER_SAYS = "My parcel has not come, and it was promised for Monday. Where is it?";
const PERSON_SAYS =
  "Hello, you are with a person now. I have read your notes, and I am looking for your parcel now.";
const SPECIALIST_SAYS = "Warehouse, good morning. Which parcel do you mean?";
const SUMMARY =
  "Parcel of order A-1042 was promised for Monday and has not come. The caller asked twice and wants a person to find it.";
/** Others who are on the phone meanwhile: two with the agent, one who waits for another pool. */
const OTHERS: ReadonlyMap<string, { readonly summary: string; readonly pool?: string }> = new Map([
  ["+15550131", { summary: "Asks for the opening hours on Sunday." }],
  ["+15550158", { summary: "Wants to change the address of an order." }],
  ["+15550172", { summary: "Invoice 2231 was paid twice. Wants the second payment back.", pool: "billing" }],
]);
/** From here on two recordings are the same words. */
const SAME = 0.5;
/** Up to here they are not. */
const OTHER = 0.35;

interface Result {
  readonly ok: boolean;
  readonly contextSeenBeforeTaken: boolean;
  readonly seatTaken: boolean;
  readonly callerHeardMicrophone: boolean;
  readonly deskHeardCaller: boolean;
  readonly whisperHeardBySpecialistOnly: boolean;
  readonly axeViolations: number;
  readonly screenshots: readonly string[];
}

const tell = (text: string) => process.stdout.write(`${text}\n`);

async function run(folder: string): Promise<Result> {
  await mkdir(folder, { recursive: true });
  tell("Starting simulated provider, gateway and browser …");
  const stage = await Stage.set({
    desk: { users: [{ name: "desk-1", numbers: ["+15550100"], pools: ["people"] }] },
  });
  try {
    return await play(stage, folder);
  } finally {
    await stage.strike();
  }
}

async function play(stage: Stage, folder: string): Promise<Result> {
  const [person, caller] = await Promise.all([spoken(PERSON_SAYS, "slt"), spoken(CALLER_SAYS, "rms")]);
  const microphone = new Int16Array(person.length + CALL_RATE);
  microphone.set(person);
  const browser = await TestBrowser.start({ microphone: { samples: microphone, sampleRate: CALL_RATE } });
  stage.defer(() => browser.stop());
  const client = connect({ endpoint: stage.address });
  stage.defer(() => client.close());
  await earlierCalls(stage);
  await stage.agent({ labels: { language: "en", version: "1.4.2" } }, async (call) => {
    const other = OTHERS.get(call.caller);
    if (other) {
      await call.saveContext({ summary: other.summary, summarySource: "RULES" });
      if (other.pool)
        await call
          .escalate({ reason: "OUT_OF_SCOPE", target: { pool: other.pool, waitMs: 120_000 } })
          .catch(() => {});
      return;
    }
    await speak(call, "Hello, this is the automated assistant. How can I help you?");
    await call.saveContext({ data: { order: "A-1042", promised: "Monday", carrier: "Northway" } });
    await call.appendTurns(
      turnsOf([
        ["AI", "Hello, this is the automated assistant. This talk is written down. How can I help you?"],
        ["CALLER", CALLER_SAYS],
        [
          "AI",
          "I am sorry to hear that. Parcels usually arrive within three days, and you can follow them on our page at any time.",
          "I am sorry to hear that. Parcels usually arrive within…",
        ],
        ["CALLER", "I know the page. I want a real person, please."],
      ]),
    );
    await call.escalate({
      reason: "ASKED_FOR_HUMAN",
      summary: SUMMARY,
      routingHint: "shipping",
      target: { pool: "people", waitMs: 60_000 },
    });
  });

  const context = await browser.context();
  const page = await context.newPage();
  const views: Violation[] = [];
  const screenshots: string[] = [];
  const picture = async (name: string) => {
    const path = join(folder, `desk-${name}.png`);
    await page.screenshot({ path });
    screenshots.push(path);
    views.push(...(await violationsOf(page, name)));
  };
  await page.goto(stage.url);
  await page.selectOption("select.person", "desk-1");
  await page.getByRole("button", { name: "Not on shift" }).click();

  await otherCalls(stage);
  const script: Script = Array.from({ length: 12 }, () => [say(CALLER_SAYS, "rms"), wait(2)]).flat();
  const call = stage.simulator.placeCall({
    from: "+15550123",
    caller: script,
    callee: callee.picksUp({
      afterSeconds: 1,
      script: Array.from({ length: 6 }, () => [wait(4), say(SPECIALIST_SAYS, "awb")]).flat(),
    }),
  });
  tell(`Caller +1 555 0123 is handed over: ${SUMMARY}`);

  // The page goes to the call by itself; what it shows is read before anything is taken.
  await page.getByRole("button", { name: "Accept" }).waitFor();
  const seatBefore = (await client.calls.get(call.id)).seat?.agentId ?? "";
  const contextSeenBeforeTaken =
    seatBefore === "support-bot" &&
    (await page.locator(".summary-text").textContent()) === SUMMARY &&
    (await page.locator(".turn").count()) === 4 &&
    (await page.locator(".facts").first().textContent())?.includes("A-1042") === true;
  await picture("context");
  await sized(page, picture, "context");
  tell(`context read before the call was taken: ${contextSeenBeforeTaken}`);

  await page.getByRole("button", { name: "Accept" }).click();
  await page.getByRole("button", { name: "Mute" }).waitFor();
  const seatTaken = (await client.calls.get(call.id)).seat?.agentId === "desk-1";
  tell(`seat taken: ${seatTaken}`);

  const recording = (track: "caller" | "callee") => call.recording.track(track);
  const callMs = () => performance.now() - call.startMs;
  const callerHeardMicrophone = await becomes(
    () => resemblance(person, recording("caller"), CALL_RATE, { fromMs: callMs() - 15_000 }) > SAME,
  );
  tell(`the caller heard the microphone: ${callerHeardMicrophone}`);
  const deskHeardCaller = await becomes(async () => {
    const heard = await heardBy(page);
    return resemblance(caller, heard.subarray(-15 * CALL_RATE), CALL_RATE) > SAME;
  });
  tell(`the desk heard the caller: ${deskHeardCaller}`);
  await picture("seat");

  await page.getByRole("button", { name: "Connect the callee" }).click();
  const whisper = page.getByRole("button", { name: "Specialist only" });
  await whisper.click();
  await page.locator('.mode[aria-pressed="true"]', { hasText: "Specialist only" }).waitFor();
  // What the provider had for both is played out first.
  const fromMs = callMs() + 2_000;
  const specialistHeard = await becomes(
    () => resemblance(person, recording("callee"), CALL_RATE, { fromMs }) > SAME,
  );
  const callerHeard = resemblance(person, recording("caller"), CALL_RATE, { fromMs });
  const whisperHeardBySpecialistOnly = specialistHeard && callerHeard < OTHER;
  tell(`whisper heard by the specialist only: ${whisperHeardBySpecialistOnly}`);
  await picture("whisper");

  await page.getByRole("button", { name: "Leave the two alone" }).click();
  await page.getByText("no longer heard here").waitFor();
  await page.getByPlaceholder("How it ended").fill("parcel found, arrives tomorrow");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.").waitFor();
  await page.getByRole("tab", { name: "What happened" }).click();
  await page.locator(".event").nth(5).waitFor();
  await picture("afterwards");
  await page.keyboard.press("b");
  await page.locator(".missed .call-row").first().waitFor();
  await picture("missed");
  await page.keyboard.press("s");
  await page.getByRole("table").first().waitFor();
  await page.locator("tbody tr").first().waitFor();
  await picture("overview");

  for (const { view, rule, where } of views) tell(`axe, ${view}: ${rule}\n${where}`);
  const checks = {
    contextSeenBeforeTaken,
    seatTaken,
    callerHeardMicrophone,
    deskHeardCaller,
    whisperHeardBySpecialistOnly,
  };
  const ok = views.length === 0 && Object.values(checks).every(Boolean);
  return { ok, ...checks, axeViolations: views.length, screenshots };
}

/** The same view small and dark, small and light, large and dark; then as before. */
async function sized(page: Page, picture: (name: string) => Promise<void>, name: string): Promise<void> {
  await page.emulateMedia({ colorScheme: "dark" });
  await picture(`${name}-dark`);
  await page.setViewportSize({ width: 390, height: 844 });
  await picture(`${name}-narrow-dark`);
  await page.emulateMedia({ colorScheme: "light" });
  await picture(`${name}-narrow`);
  await page.setViewportSize({ width: 1280, height: 860 });
}

async function otherCalls(stage: Stage): Promise<void> {
  for (const from of OTHERS.keys()) {
    const call = stage.simulator.placeCall({ from, caller: [wait(120)] });
    await call.waitFor("ANSWERED");
  }
}

/** Calls of before: one that is solved, one that wants to be called back, one that hung up. */
async function earlierCalls(stage: Stage): Promise<void> {
  const callee = "+15550100";
  await stage.saveContext({
    callId: "earlier-1",
    caller: "+15550123",
    callee,
    status: ContextStatus.ENDED,
    summary: "Asked when order A-1042 is sent. Told: Monday.",
    outcome: "solved",
  });
  await stage.saveContext({
    callId: "earlier-2",
    caller: "+15550147",
    callee,
    status: ContextStatus.CALLBACK_WANTED,
    escalationReason: EscalationReason.OUT_OF_SCOPE,
    summary:
      "Invoice 2231 was paid twice. Wants the second payment back and asks for a call tomorrow morning.",
  });
  await stage.saveContext({
    callId: "earlier-3",
    caller: "+15550166",
    callee,
    status: ContextStatus.ABANDONED,
    escalationReason: EscalationReason.FRUSTRATED,
    summary: "Waited for a person and hung up after two minutes.",
  });
}

async function becomes(check: () => boolean | Promise<boolean>, timeoutMs = 25_000): Promise<boolean> {
  const endMs = performance.now() + timeoutMs;
  while (performance.now() < endMs) {
    if (await check()) return true;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  return false;
}

const args = process.argv.slice(2);
const at = args.indexOf("--pictures");
const folder = at < 0 ? join("recordings", "desk") : (args[at + 1] ?? "");
if (args.includes("--help") || folder === "") {
  tell(
    "npm run demo:desk -- [--once] [--json] [--pictures DIR]\n\nA caller is handed over to a person in a headless browser.",
  );
  tell("--pictures DIR   where the screenshots go; default recordings/desk");
  tell("--once, --json   as in the other demos: it always runs once, and its last line is the result");
} else {
  run(folder).then(
    (result) => {
      tell(JSON.stringify(result));
      process.exit(result.ok ? 0 : 1);
    },
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
}
