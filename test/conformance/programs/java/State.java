import dev.callweave.Agent;
import dev.callweave.Call;
import dev.callweave.CallweaveClient;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;

/** What the program has between {@code start} and {@code stop}. */
final class State {
  final Map<String, Call> calls = new ConcurrentHashMap<>();
  private final List<AutoCloseable> open = new CopyOnWriteArrayList<>();
  private final CountDownLatch end = new CountDownLatch(1);
  private volatile Agent agent;
  private volatile boolean told;

  Agent agent() {
    return agent;
  }

  void agent(Agent started) {
    agent = started;
    told = false;
  }

  /** A command ends the agent. */
  void toldToEnd() {
    told = true;
  }

  /** The agent is over; if no command did that, the signal did, and the program ends too. */
  void drained() {
    if (!told) {
      end();
    }
  }

  /** A call of the agent, those that are over too. */
  Call call(Args args) {
    Call call = calls.get(args.text("call"));
    if (call == null) {
      throw new Io.ProgramError("there is no call " + args.text("call"));
    }
    return call;
  }

  /** A client without a seat. */
  CallweaveClient client(Args args) {
    CallweaveClient.Builder builder = CallweaveClient.builder().endpoints(args.texts("endpoints"));
    args.text("token", builder::token);
    return keep(builder.build());
  }

  /** Closes it with {@code stop}. */
  <T extends AutoCloseable> T keep(T closeable) {
    open.add(0, closeable);
    return closeable;
  }

  /** As fresh as at the start of the program. */
  void stop() {
    toldToEnd();
    Agent closing = agent;
    agent = null;
    if (closing != null) {
      closing.close();
    }
    for (AutoCloseable closeable : List.copyOf(open)) {
      open.remove(closeable);
      try {
        closeable.close();
      } catch (Exception e) {
        Io.error(e, null);
      }
    }
    calls.clear();
  }

  /** The program ends. */
  void end() {
    end.countDown();
  }

  void awaitEnd() {
    try {
      end.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
