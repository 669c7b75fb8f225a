import type { CallEvent, StoredEvent } from "../call/call-events.js";
import type { EventLog } from "../call/event-log.js";

/**
 * The same log; `onEvent` is told every event that went through it, after it was stored and before the call hears of it.
 * What `onEvent` throws is dropped: counting never disturbs a call. Everything else of the log is as it was.
 */
export function countingEventLog<L extends EventLog>(log: L, onEvent: (event: StoredEvent) => void): L {
  const append = async (event: CallEvent): Promise<StoredEvent> => {
    const stored = await log.append(event);
    try {
      onEvent(stored);
    } catch {
      // A figure is missing; the call goes on.
    }
    return stored;
  };
  return new Proxy(log, {
    get(target, name) {
      if (name === "append") return append;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
