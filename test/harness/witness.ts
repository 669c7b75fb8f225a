import { frameTone, type SimCall } from "@callweave/simulator";
import { Ears, holesIn, numbersHeard } from "./audio.js";
import { type Stack, until } from "./gateway.js";
import type { Rig } from "./rig.js";

/** Kept back by the echo before it begins, so that a busy machine does not tear it. */
const ECHO_DELAY_MS = 600;

/** The number that the route of {@link WITNESS_CONFIG} sends to the pool of the echo. */
export const WITNESS_NUMBER = "+15550199";

/** Configuration under which the witness does not meet the calls of the test. */
export const WITNESS_CONFIG = {
  pools: [{ name: "default" }, { name: "echo" }],
  routes: [{ caller: WITNESS_NUMBER, pool: "echo" }, { unserved: "queue" }],
} as const;

/** A call beside those of the test, with an agent that says back every numbered frame of its caller. */
export interface Witness {
  readonly phone: SimCall;
  /**
   * Waits until another second came back; answers the frames that are missing since the last look, of those that came back
   * and that the agent heard.
   */
  missing(): Promise<number[]>;
}

/** Starts a witness on a stack with {@link WITNESS_CONFIG}. */
export async function startWitness(rig: Rig, stack: Pick<Stack, "simulator" | "address">): Promise<Witness> {
  const ears = new Ears();
  await rig.agent(stack.address, { agentId: "echo", pool: "echo" }, async (call) => {
    const early: Buffer[] = [];
    let earlyBytes = 0;
    for await (const chunk of call.audio()) {
      ears.hear(chunk);
      const { pcm } = chunk;
      if (!pcm) continue;
      if (earlyBytes < ECHO_DELAY_MS * 32) {
        early.push(Buffer.from(pcm));
        earlyBytes += pcm.length;
        if (earlyBytes < ECHO_DELAY_MS * 32) continue;
        void call.play(Buffer.concat(early)).catch(() => {});
        continue;
      }
      void call.play(Buffer.from(pcm)).catch(() => {});
    }
  });
  const phone = stack.simulator.placeCall({ from: WITNESS_NUMBER, caller: [frameTone()] });
  await phone.waitUntil(() => numbersHeard(phone, "caller").length > 10);
  const looked = { echoed: 0, heard: 0 };
  const since = (place: keyof typeof looked, numbers: readonly number[]) => {
    const fresh = numbers.filter((number) => number >= looked[place]);
    looked[place] = fresh.at(-1) ?? looked[place];
    return holesIn(fresh);
  };
  return {
    phone,
    async missing() {
      const last = numbersHeard(phone, "caller").at(-1)?.number ?? 0;
      await until(
        () => (numbersHeard(phone, "caller").at(-1)?.number ?? 0) >= last + 50,
        "another second of echo",
      );
      const echoed = numbersHeard(phone, "caller").map(({ number }) => number);
      return [...since("echoed", echoed), ...since("heard", ears.numbers())];
    },
  };
}
