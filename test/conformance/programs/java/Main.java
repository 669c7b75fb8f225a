import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** The agent of the conformance suite. Its protocol is in docs/new-language.md. */
public final class Main {
  private Main() {}

  /** Obeys the lines of standard input until {@code exit} or their end. */
  public static void main(String[] args) throws IOException {
    State state = new State();
    ExecutorService pool =
        Executors.newCachedThreadPool(
            task -> {
              Thread thread = new Thread(task);
              thread.setDaemon(true);
              return thread;
            });
    Thread reader = new Thread(() -> read(state, pool), "reader");
    reader.setDaemon(true);
    reader.start();
    state.awaitEnd();
    System.out.flush();
    System.exit(0);
  }

  private static void read(State state, ExecutorService pool) {
    Io.print("event", "hello", "protocol", 1, "language", "java");
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        JsonObject command = JsonParser.parseString(line).getAsJsonObject();
        if (command.get("do").getAsString().equals("exit")) {
          break;
        }
        obey(state, new Args(command), pool);
      }
    } catch (IOException e) {
      e.printStackTrace();
    }
    state.stop();
    state.end();
  }

  /** Begins at once, so that commands begin in the order they were told; waits in another thread. */
  private static void obey(State state, Args args, ExecutorService pool) {
    try {
      Callable<JsonObject> result = Actions.begin(args, state);
      pool.execute(() -> answer(args, result));
    } catch (Exception e) {
      answer(args, () -> {
        throw e;
      });
    }
  }

  private static void answer(Args args, Callable<JsonObject> result) {
    try {
      Io.print("id", args.number("id", 0), "ok", true, "value", result.call());
    } catch (Throwable e) {
      Io.print("id", args.number("id", 0), "ok", false, "error", Io.told(e));
    }
  }
}
