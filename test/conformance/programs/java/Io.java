import com.google.gson.Gson;
import com.google.gson.JsonObject;
import dev.callweave.CallweaveException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.util.LinkedHashMap;
import java.util.Map;

/** Lines of JSON on standard output. */
final class Io {
  /** Something the program was told that it does not know. */
  static final class ProgramError extends RuntimeException {
    private static final long serialVersionUID = 1L;

    ProgramError(String message) {
      super(message);
    }
  }

  /** Something that may throw. */
  interface Work {
    void run() throws Exception;
  }

  private static final Gson GSON = new Gson();
  private static final PrintStream OUT =
      new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);

  private Io() {}

  /** Prints a line of names and values; those that are null are left out. */
  static void print(Object... namesAndValues) {
    String line = GSON.toJson(object(namesAndValues));
    synchronized (OUT) {
      OUT.print(line + "\n");
      OUT.flush();
    }
  }

  static JsonObject object(Object... namesAndValues) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      if (namesAndValues[i + 1] != null) {
        map.put((String) namesAndValues[i], namesAndValues[i + 1]);
      }
    }
    return GSON.toJsonTree(map).getAsJsonObject();
  }

  /** An error as the protocol writes it. */
  static JsonObject told(Throwable thrown) {
    if (thrown instanceof ProgramError) {
      return object("reason", "PROGRAM", "message", thrown.getMessage(), "metadata", Map.of());
    }
    CallweaveException error = CallweaveException.from(thrown);
    return object(
        "reason", error.reason().name(),
        "message", error.getMessage(),
        "metadata", error.metadata());
  }

  /** Prints the report of an error; {@code call} may be null. */
  static void error(Throwable thrown, String call) {
    JsonObject told = told(thrown);
    print(
        "event", "error",
        "reason", told.get("reason"),
        "message", told.get("message"),
        "call", call);
  }

  /** Lets something run; what it throws is reported. */
  static void inBackground(String call, Work work) {
    Thread thread =
        new Thread(
            () -> {
              try {
                work.run();
              } catch (Exception e) {
                error(e, call);
              }
            });
    thread.setDaemon(true);
    thread.start();
  }
}
