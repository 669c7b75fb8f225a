/**
 * A process that writes contexts as fast as it can, for tests that end it in the middle. Arguments: address of MongoDB,
 * state folder. Prints {"acknowledged": "<turn id>", "durability"} as JSON lines.
 */
import { StoredContextService } from "../../gateway/src/context/context-service.js";
import { openContextStore } from "../../gateway/src/context/open-context-store.js";

const [url = "", stateDir = ""] = process.argv.slice(2);
const { store } = await openContextStore({ mongodb: { url, timeoutMs: 200 }, stateDir });
const contexts = new StoredContextService(store);
for (let place = 0; ; place++) {
  const id = `t-${place}`;
  const turns = [
    {
      id,
      role: "CALLER" as const,
      text: "hello",
      locale: "",
      time: new Date(),
      heard: "",
      interrupted: false,
    },
  ];
  const { durability } = await contexts.save("t", { callId: `c-${place % 7}`, turns });
  console.log(JSON.stringify({ acknowledged: id, durability }));
}
