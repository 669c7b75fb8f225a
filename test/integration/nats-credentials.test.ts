import { describe, expect, it } from "vitest";
import { FakeLogger } from "../../gateway/src/contract/testing.js";
import { endlessTone, msHeard } from "../harness/audio.js";
import { natsAvailable, startNats } from "../harness/nats.js";
import { useRig } from "../harness/rig.js";
import { until } from "../harness/until.js";

const available = await natsAvailable();
const rig = useRig();

describe.skipIf(!available)("a gateway whose credentials NATS refuses", () => {
  it("says so once, without the secret, and serves its calls all the same (fault 16)", async () => {
    const nats = await startNats({ config: 'authorization { user: "gateway", password: "right" }' });
    rig.defer(() => nats.stop());
    const logger = new FakeLogger();
    const stack = await rig.stack({
      logger,
      config: { nats: { urls: [nats.url], user: "gateway", password: "wrong-secret" } },
    });
    const attempts = () => nats.output.match(/authentication error/gi)?.length ?? 0;
    await until(() => attempts() >= 3, "three attempts to connect", 20_000);
    const lines = logger.lines.filter(({ message }) => message === "NATS refuses this gateway");
    expect(lines).toHaveLength(1);
    expect(lines[0]?.level).toBe("error");
    expect(JSON.stringify(logger.lines)).not.toContain("wrong-secret");
    await rig.agent(stack, {}, (call) => {
      void call.play(endlessTone(5000, call.signal)).catch(() => {});
    });
    const phone = stack.simulator.placeCall();
    await phone.waitUntil(() => msHeard(phone, "caller", 5000) > 300, { timeoutMs: 30_000 });
    phone.hangUp();
    await phone.waitFor("DISCONNECTED");
  });
});
