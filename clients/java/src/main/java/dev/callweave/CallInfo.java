package dev.callweave;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/** What is known of a call, and who is told of its changes. */
final class CallInfo {
  private final Call call;
  private final Told told;
  private final List<CallListener> listeners = new CopyOnWriteArrayList<>();
  private volatile dev.callweave.v1.Call current;

  CallInfo(Call call, dev.callweave.v1.Call first, int maxWaiting, Consumer<Throwable> onError) {
    this.call = call;
    current = first;
    told = new Told(maxWaiting, onError);
  }

  dev.callweave.v1.Call current() {
    return current;
  }

  /** One newer than this library counts as PENDING. */
  CallState state() {
    CallState state = Convert.named(CallState.class, "CALL_STATE_", current.getState());
    return state == null ? CallState.PENDING : state;
  }

  /** Null when the agent is heard in no conference. */
  AgentMode mode() {
    return Convert.named(AgentMode.class, "AGENT_MODE_", current.getAgentMode());
  }

  void set(dev.callweave.v1.Call next) {
    CallState before = state();
    AgentMode modeBefore = mode();
    current = next;
    CallState now = state();
    AgentMode mode = mode();
    if (now != before) {
      tell(listener -> listener.onState(call, now));
    }
    if (mode != null && mode != modeBefore) {
      tell(listener -> listener.onMode(call, mode));
    }
  }

  Runnable add(CallListener listener) {
    listeners.add(listener);
    return () -> listeners.remove(listener);
  }

  void tell(Consumer<CallListener> what) {
    for (CallListener listener : listeners) {
      told.tell(() -> what.accept(listener));
    }
  }
}
