package callweave;

import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.ServerVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.bson.ObjectId;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import io.netty.channel.Channel;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * A server on 127.0.0.1 that keeps its data in one file and says of itself that it is the primary of a replica set of
 * one, so that drivers use retryable writes. Every write is in the file before it is answered.
 *
 * Knows the command configureFailPoint with "failCommand" as MongoDB's own tests use it: mode {times: n}, "alwaysOn" or
 * "off"; data {failCommands, errorCode, closeConnection}, and as an addition applyFirst: the command is done, then it
 * fails.
 *
 * Arguments: port (0: any), file. Prints "PORT n" when it listens.
 */
public final class TestMongoServer extends H2Backend {
  private static final Set<String> HELLO = Set.of("hello", "ismaster");
  private static final Set<String> WRITES =
      Set.of("insert", "update", "delete", "findandmodify", "create", "createindexes", "collmod", "drop", "dropdatabase");
  private static final ObjectId ELECTION = new ObjectId();
  private volatile String address = "";
  private List<?> failCommands = List.of();
  private int failTimes = 0;
  private Document failData = new Document();

  private TestMongoServer(String file) {
    super(file);
    version(ServerVersion.MONGO_5_0);
  }

  @Override
  public Document handleCommand(Channel channel, String database, String command, Document query) {
    Document answer = super.handleCommand(channel, database, command, query);
    return after(command, answer);
  }

  @Override
  public Document handleMessage(MongoMessage message) {
    String command = message.getDocument().keySet().iterator().next();
    if (command.equals("configureFailPoint")) return configure(message.getDocument());
    Document fault = takeFault(command);
    if (fault == null) return after(command, super.handleMessage(message));
    if (Boolean.TRUE.equals(fault.get("applyFirst"))) after(command, super.handleMessage(message));
    if (Boolean.TRUE.equals(fault.get("closeConnection"))) {
      message.getChannel().close();
      return new Document("ok", 0.0);
    }
    Document answer = new Document("ok", 0.0).append("errmsg", "as asked for by the test");
    return answer.append("code", fault.get("errorCode")).append("codeName", "FailPoint");
  }

  private synchronized Document configure(Document command) {
    Object mode = command.get("mode");
    failTimes = mode instanceof Document times ? ((Number) times.get("times")).intValue() : "alwaysOn".equals(mode) ? Integer.MAX_VALUE : 0;
    if (command.get("data") instanceof Document data) {
      failData = data;
      Object commands = data.get("failCommands");
      failCommands = commands instanceof java.util.Collection<?> all ? List.copyOf(all) : List.of();
    }
    return new Document("ok", 1.0);
  }

  private synchronized Document takeFault(String command) {
    if (failTimes == 0 || !failCommands.contains(command)) return null;
    if (failTimes != Integer.MAX_VALUE) failTimes--;
    return failData;
  }

  private Document after(String command, Document answer) {
    String name = command.toLowerCase(Locale.ROOT);
    if (HELLO.contains(name)) return asPrimary(answer);
    if (WRITES.contains(name)) commit();
    return answer;
  }

  private Document asPrimary(Document answer) {
    answer.put("helloOk", true);
    answer.put("ismaster", true);
    answer.put("isWritablePrimary", true);
    answer.put("secondary", false);
    answer.put("setName", "rs0");
    answer.put("setVersion", 1);
    answer.put("electionId", ELECTION);
    answer.put("hosts", List.of(address));
    answer.put("me", address);
    answer.put("primary", address);
    answer.put("minWireVersion", 0);
    answer.put("maxWireVersion", 21);
    answer.put("logicalSessionTimeoutMinutes", 30);
    return answer;
  }

  public static void main(String[] arguments) {
    TestMongoServer backend = new TestMongoServer(arguments[1]);
    MongoServer server = new MongoServer(backend);
    server.bind("127.0.0.1", Integer.parseInt(arguments[0]));
    int port = server.getLocalAddress().getPort();
    backend.address = "127.0.0.1:" + port;
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
    System.out.println("PORT " + port);
  }
}
