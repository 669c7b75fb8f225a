import { callee, type SimCall, say, wait } from "@callweave/simulator";
import { type Call, type CallweaveClient, connect } from "callweave";
import { describe, expect, it } from "vitest";
import type { Stage } from "../../demo/desk/stage.js";
import { until } from "../harness/until.js";
import { useDesk } from "./desk-rig.js";

// Nobody gets a microphone who is not given one.
const desk = useDesk({ refuseMicrophone: true });
const MICROPHONE = { permissions: ["microphone"] };

function client(stage: Stage): CallweaveClient {
  const one = connect({ endpoint: stage.address });
  stage.defer(() => one.close());
  return one;
}

/** An agent that has the call, and the call. */
async function talking(stage: Stage, options: Parameters<Stage["simulator"]["placeCall"]>[0] = {}) {
  const given: Call[] = [];
  await stage.agent({}, (call) => void given.push(call));
  const phone = stage.simulator.placeCall({ from: "+15550123", ...options });
  const call = await until(() => given[0], "the agent to have the call");
  await phone.waitFor("ANSWERED");
  return { phone, call, given };
}

const holderOf = async (api: CallweaveClient, phone: SimCall) =>
  (await api.calls.get(phone.id)).seat?.agentId;

describe("the seat, in browsers", () => {
  it("goes to one of two people who take it at once, and the other is told by whom (fault 5)", async () => {
    const stage = await desk.stage();
    const { phone } = await talking(stage);
    const [first, second] = await Promise.all([
      desk.person(stage, "desk-1", MICROPHONE),
      desk.person(stage, "desk-2", MICROPHONE),
    ]);
    await Promise.all([first, second].map((page) => page.goto(`${stage.url}/calls/${phone.id}`)));
    const take = [first, second].map((page) => page.getByRole("button", { name: "Take the call" }));
    await Promise.all(take.map((button) => button.waitFor()));
    await Promise.all(take.map((button) => button.click()));
    const holder = await until(async () => {
      const name = await holderOf(client(stage), phone);
      return name === "desk-1" || name === "desk-2" ? name : undefined;
    }, "somebody to have the seat");
    const [winner, loser] = holder === "desk-1" ? [first, second] : [second, first];
    await winner.getByRole("button", { name: "Mute" }).waitFor();
    await loser.getByText(`${holder} was faster and has the call.`).waitFor();
    await loser.getByText("Take the call").waitFor();
  });

  it("is taken while the callee rings, and the call is connected to whoever has it then", async () => {
    const stage = await desk.stage();
    const { phone, call } = await talking(stage, { callee: callee.picksUp({ afterSeconds: 3 }) });
    const page = await desk.page(`${stage.url}/calls/${phone.id}`, MICROPHONE);
    const connected = call.connect({ ringTimeSeconds: 20 }).then(
      () => "connected",
      (error: Error) => error.message,
    );
    await page.getByText("Phone rings").first().waitFor();
    await page.getByRole("button", { name: "Take the call" }).click();
    await page
      .getByRole("alert")
      .getByText(/under way/)
      .waitFor();
    expect(await connected).toBe("connected");
    await page.getByRole("button", { name: "Take the call" }).click();
    await page.getByRole("button", { name: "Both hear you" }).waitFor();
    expect(await holderOf(client(stage), phone)).toBe("local");
  });

  it("is offered again when the tab is closed", async () => {
    const stage = await desk.stage();
    const { phone, given } = await talking(stage);
    const page = await desk.page(`${stage.url}/calls/${phone.id}`, MICROPHONE);
    await page.getByRole("button", { name: "Take the call" }).click();
    await page.getByRole("button", { name: "Mute" }).waitFor();
    await page.close();
    await until(() => given.length === 2, "the agent to be given the call again");
    expect(phone.state).toBe("ANSWERED");
  });

  it("is not taken without a microphone unless one says so", async () => {
    const stage = await desk.stage();
    const { phone } = await talking(stage);
    const page = await desk.page(`${stage.url}/calls/${phone.id}`);
    await page.getByRole("button", { name: "Take the call" }).click();
    await page.getByText("not allowed to use the microphone").waitFor();
    expect(await holderOf(client(stage), phone)).toBe("support-bot");
    await page.getByRole("button", { name: "Take it without a microphone" }).click();
    await page.getByText("Without a microphone: you hear, nobody hears you.").first().waitFor();
    expect(await holderOf(client(stage), phone)).toBe("local");
  });

  it("says when the microphone is unplugged, and goes on with another one", async () => {
    const stage = await desk.stage();
    const { phone } = await talking(stage);
    const page = await desk.page(`${stage.url}/calls/${phone.id}`, MICROPHONE);
    await page.getByRole("button", { name: "Take the call" }).click();
    await page.getByRole("button", { name: "Mute" }).waitFor();
    await page.evaluate(() => {
      const [stream] = (globalThis as unknown as { callweaveMicrophones: { getTracks(): EventTarget[] }[] })
        .callweaveMicrophones;
      for (const track of stream?.getTracks() ?? []) track.dispatchEvent(new Event("ended"));
    });
    await page.getByText("Your microphone is gone: nobody hears you.").waitFor();
    expect(await holderOf(client(stage), phone)).toBe("local");
    await page.getByRole("button", { name: "Use another microphone" }).click();
    await page.getByText("Your microphone is gone").waitFor({ state: "detached" });
  });

  it("comes to the desk by an accepted handover, is handed back, and the call ended after a question", async () => {
    const stage = await desk.stage();
    const given: Call[] = [];
    const outcomes: string[] = [];
    await stage.agent({}, async (call) => {
      given.push(call);
      if (given.length > 1) return;
      const { outcome } = await call.escalate({
        reason: "ASKED_FOR_HUMAN",
        summary: "Wants a person.",
        target: { pool: "people", waitMs: 30_000 },
      });
      outcomes.push(outcome);
    });
    const first = await desk.person(stage, "desk-1", MICROPHONE);
    const phone = stage.simulator.placeCall({ from: "+15550123", caller: [say("Hello?"), wait(60)] });
    await first.locator(".summary-text").getByText("Wants a person.").waitFor();
    await first.getByRole("button", { name: "Accept" }).waitFor();
    await first.keyboard.press("a");
    await first.getByRole("button", { name: "Mute" }).waitFor();
    await until(() => outcomes[0] === "CONNECTED", "the agent to be told");
    await client(stage).calls.sendNote(phone.id, "She was promised a discount.");
    await first.getByText("local: She was promised a discount.").waitFor();
    await first.keyboard.press("m");
    await first.getByRole("button", { name: "Unmute" }).waitFor();
    await first.keyboard.press("h");
    await until(() => given.length === 2, "the agent to have the call again");
    await first.getByText("The seat was given on.").waitFor();
    // And once more, to end it.
    await first.locator(".head-facts").getByText("support-bot").waitFor();
    await first.keyboard.press("t");
    await first.getByRole("button", { name: "Mute" }).waitFor();
    await first.keyboard.press("x");
    await first.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    expect(phone.state).toBe("ANSWERED");
    await first.keyboard.press("x");
    await first.getByRole("dialog").getByRole("button", { name: "End the call" }).click();
    await first.getByText("This call is over.").waitFor();
    expect(phone.state).toBe("DISCONNECTED");
  });

  it("stays with the agent until the desk accepts the handover to the phone that rings", async () => {
    const stage = await desk.stage();
    const outcomes: string[] = [];
    await stage.agent({}, async (call) => {
      const { outcome } = await call.escalate({
        reason: "FRUSTRATED",
        summary: "Has called three times.",
        target: { callee: { ringTimeSeconds: 20 } },
        confirm: "DESK_ACCEPT",
      });
      outcomes.push(outcome);
    });
    // Not on shift, but it is her number that rings.
    const first = await desk.page(stage.url);
    await first.locator("select.person").selectOption("desk-1");
    const second = await desk.person(stage, "desk-2");
    stage.simulator.placeCall({ from: "+15550123", callee: callee.picksUp({ afterSeconds: 0.5 }) });
    await first.locator(".summary-text").getByText("Has called three times.").waitFor();
    await first.getByRole("button", { name: "Accept the handover" }).click();
    await first.getByText("With the specialist, no longer heard here.").waitFor();
    await until(() => outcomes[0] === "CONNECTED", "the agent to be told");
    expect(new URL(second.url()).pathname).toBe("/");
  });

  it("showed no error in any page", () => {
    expect(desk.errors).toEqual([]);
  });
});
