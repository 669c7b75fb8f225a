import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { frameTone } from "@callweave/simulator";
import { describe, expect, it } from "vitest";
import { numbersHeard } from "../harness/audio.js";
import { natsAvailable } from "../harness/nats.js";
import { useRig } from "../harness/rig.js";
import { until } from "../harness/until.js";
import { ask, outsider, server } from "./nats-harness.js";

// The examples as their README tells to start them, on a real call.
const available = await natsAvailable();
const root = fileURLToPath(new URL("../../", import.meta.url));
const rig = useRig();
const FILES = [
  "nats-watch-events.mjs",
  "nats-answer-and-echo.ts",
  "nats-fetch-context.mjs",
  "existing-desk/screen-pop.mjs",
];

function start(file: string, url: string, args: readonly string[] = []) {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child: ChildProcess = spawn(
    process.execPath,
    ["--import", "tsx", `${root}examples/${file}`, ...args],
    {
      cwd: root,
      env: { ...env, NATS_URL: url },
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const exit = once(child, "close");
  const program = { child, exit, output: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    program.output += text;
  });
  rig.defer(async () => {
    child.kill("SIGKILL");
    await exit;
  });
  return program;
}

describe.skipIf(!available)("examples on NATS", () => {
  it.each(FILES)("%s has at most 30 lines", (file) => {
    expect(readFileSync(`${root}examples/${file}`, "utf8").trimEnd().split("\n").length).toBeLessThanOrEqual(
      30,
    );
  });

  it("watch, answer, fetch and pop up on one escalated call", async () => {
    const at = await server({ jetstream: true });
    const made = await rig.stack({ config: { nats: { urls: [at.url] } } });
    const nc = await outsider(at);
    const watch = start("nats-watch-events.mjs", at.url);
    start("nats-answer-and-echo.ts", at.url);
    const desk = start("existing-desk/screen-pop.mjs", at.url, ["+15550101"]);
    await until(
      () => watch.output.includes("watching") && desk.output.includes("ready"),
      "the programs",
      30_000,
    );
    const { fleet } = made.gateway.gateway;
    await until(() => fleet.agents("default", "").length === 1, "the agent", 30_000);
    const phone = made.simulator.placeCall({ from: "+15550100", to: "+15550101", caller: [frameTone()] });
    await phone.waitUntil(() => numbersHeard(phone, "caller").length > 20);

    const rpc = (method: string, body: object) => ask(nc, `callweave.default.rpc.${method}`, body);
    const turn = { id: "t1", role: "TURN_ROLE_CALLER", text: "My heating is cold." };
    expect((await rpc("AppendTurns", { callId: phone.id, turns: [turn] })).error).toBe("");
    const escalation = {
      callId: phone.id,
      reason: "ESCALATION_REASON_ASKED_FOR_HUMAN",
      summary: "The heating is cold.",
      originalCallee: { ringDuration: "5s" },
    };
    expect((await rpc("EscalateCall", escalation)).error).toBe("");
    const popped = (how: string) =>
      desk.output
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line))
        .find((line) => line.how === how);
    await until(() => popped("call id"), "the record by call id");
    expect(popped("call id")).toMatchObject({ callId: phone.id, summary: "The heating is cold." });
    desk.child.stdin?.write("ring\n");
    await until(() => popped("number"), "the record by number");
    expect(popped("number")).toMatchObject({ callId: phone.id, caller: "+15550100" });

    const fetch = start("nats-fetch-context.mjs", at.url, [phone.id]);
    expect((await fetch.exit)[0]).toBe(0);
    expect(fetch.output).toBe("+15550100: The heating is cold.\nCALLER: My heating is cold.\n");
    const none = start("nats-fetch-context.mjs", at.url, ["none"]);
    expect((await none.exit)[0]).toBe(1);
    for (const type of ["arrived", "seatChanged", "answered"])
      await until(() => watch.output.includes(` ${type} {`), `${type} in:\n${watch.output}`);
  });
});
