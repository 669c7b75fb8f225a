/**
 * Writes contexts as agents do: a summary and one more turn, call after call, at an even pace. Argument: the address of the
 * gateway.
 */
import { randomUUID } from "node:crypto";
import { CallContext, ContextServiceClient, TurnRole } from "@callweave/proto";
import { credentials } from "@grpc/grpc-js";
import { machineMs } from "../clock.js";
import { Samples, type Spread } from "../figures.js";
import { answerMain } from "../ipc.js";

/** What came of the saves in a window. In ms. */
export interface SaveReport {
  readonly sent: number;
  readonly failed: number;
  readonly lastError: string;
  /** From the request to its answer, also for failed ones. */
  readonly tookMs: Spread;
}

const TICK_MS = 10;
const ANSWER_TIMEOUT_MS = 10_000;

const [address = ""] = process.argv.slice(2);
const client = new ContextServiceClient(address, credentials.createInsecure(), {
  "grpc.enable_http_proxy": 0,
});
const took = new Samples();
let sent = 0;
let failed = 0;
let lastError = "";
let timer: NodeJS.Timeout | undefined;

function save(callId: string): void {
  const startMs = machineMs();
  const id = randomUUID();
  const turn = { id, role: TurnRole.CALLER, text: "I have a question about the order of last week." };
  const context = CallContext.fromPartial({ callId, summary: `Asks about order ${id}.`, turns: [turn] });
  sent++;
  client.saveContext({ context }, (error) => {
    took.add(machineMs() - startMs);
    if (!error) return;
    failed++;
    lastError = error.message;
  });
}

function start({ callIds, perSecond }: { callIds: string[]; perSecond: number }): void {
  const startMs = machineMs();
  let done = 0;
  timer = setInterval(() => {
    const due = Math.floor(((machineMs() - startMs) * perSecond) / 1000);
    for (; done < due; done++) save(callIds[done % callIds.length] as string);
  }, TICK_MS);
}

function reset(): void {
  took.clear();
  sent = 0;
  failed = 0;
}

/** Ends and waits for the answers that are under way. */
async function stop(): Promise<SaveReport> {
  clearInterval(timer);
  const endMs = machineMs() + ANSWER_TIMEOUT_MS;
  while (took.spread().count < sent && machineMs() < endMs)
    await new Promise((resolve) => setTimeout(resolve, 20));
  return { sent, failed, lastError, tookMs: took.spread() };
}

answerMain({ start, reset, stop }, null);
