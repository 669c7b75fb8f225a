import com.google.gson.JsonObject;
import com.google.protobuf.ByteString;
import dev.callweave.v1.Accept;
import dev.callweave.v1.AgentAudio;
import dev.callweave.v1.AgentItem;
import dev.callweave.v1.AgentServiceGrpc;
import dev.callweave.v1.Bye;
import dev.callweave.v1.GatewayItem;
import dev.callweave.v1.Mark;
import dev.callweave.v1.Register;
import dev.callweave.v1.ServeRequest;
import dev.callweave.v1.ServeResponse;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;

/**
 * The simple form, with generated stubs alone: capacity 1, no handles, one item a message, no
 * heartbeat. Takes one call, plays the file and leaves with Bye when it was heard.
 */
final class SimpleForm implements StreamObserver<ServeResponse> {
  private static final int PIECE_BYTES = 3_200;

  private final CompletableFuture<String> over = new CompletableFuture<>();
  private final byte[] audio;
  private StreamObserver<ServeRequest> stream;
  private String callId = "";

  private SimpleForm(byte[] audio) {
    this.audio = audio;
  }

  static JsonObject run(Args args) throws IOException {
    ManagedChannel channel =
        Grpc.newChannelBuilder(
                args.texts("endpoints").get(0), InsecureChannelCredentials.create())
            .proxyDetector(address -> null)
            .build();
    try {
      SimpleForm form = new SimpleForm(Files.readAllBytes(Path.of(args.text("file"))));
      form.stream = AgentServiceGrpc.newStub(channel).serve(form);
      form.send(
          AgentItem.newBuilder()
              .setRegister(
                  Register.newBuilder()
                      .setAgentId(args.has("agentId") ? args.text("agentId") : "simple")
                      .setCapacity(1)
                      .setAnswerOnAccept(true)));
      return Io.object("call", form.over.join());
    } finally {
      channel.shutdownNow();
    }
  }

  private void send(AgentItem.Builder item) {
    stream.onNext(ServeRequest.newBuilder().addItems(item).build());
  }

  @Override
  public void onNext(ServeResponse response) {
    response.getItemsList().forEach(this::onItem);
  }

  private void onItem(GatewayItem item) {
    switch (item.getItemCase()) {
      case REGISTERED -> Io.print("event", "registered");
      case OFFER -> send(AgentItem.newBuilder().setAccept(Accept.getDefaultInstance()));
      case ASSIGNED -> {
        callId = item.getAssigned().getCall().getCallId();
        Io.print("event", "call", "call", callId);
        for (int at = 0; at < audio.length; at += PIECE_BYTES) {
          int length = Math.min(PIECE_BYTES, audio.length - at);
          ByteString pcm = ByteString.copyFrom(audio, at, length);
          send(AgentItem.newBuilder().setAudio(AgentAudio.newBuilder().setPcm(pcm)));
        }
        send(AgentItem.newBuilder().setMark(Mark.newBuilder().setName("said")));
      }
      case MARK_REACHED -> {
        send(AgentItem.newBuilder().setBye(Bye.getDefaultInstance()));
        stream.onCompleted();
      }
      default -> {}
    }
  }

  @Override
  public void onError(Throwable thrown) {
    over.completeExceptionally(thrown);
  }

  @Override
  public void onCompleted() {
    over.complete(callId);
  }
}
