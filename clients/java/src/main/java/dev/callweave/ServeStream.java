package dev.callweave;

import dev.callweave.v1.AgentItem;
import dev.callweave.v1.AgentServiceGrpc;
import dev.callweave.v1.GatewayItem;
import dev.callweave.v1.Reauthenticate;
import dev.callweave.v1.ServeRequest;
import dev.callweave.v1.ServeResponse;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;

/** One Serve stream on its own connection, and the calls that are on it by their handle. */
final class ServeStream {
  /** What a stream tells, on the loop. */
  interface Handler {
    void item(ServeStream stream, GatewayItem item);

    /** The stream is over; exactly once. */
    void ended(ServeStream stream, CallweaveException error);
  }

  /** How many messages of the gateway may be under way to the loop. */
  private static final int INBOUND = 4;

  final Map<Integer, CallImpl> handles = new LinkedHashMap<>();
  final Outbox outbox;

  /** The gateway has answered its first item. */
  boolean up;

  private final Loop loop;
  private final Connection connection;
  private final Handler handler;
  private ClientCall<ServeRequest, ServeResponse> call;
  private boolean over;
  private boolean ending;
  private boolean halfClosed;
  private Runnable onEnd;
  private ScheduledFuture<?> timer;

  ServeStream(
      Loop loop, Connection connection, Handler handler, Outbox.Limits limits, double tickMs) {
    this.loop = loop;
    this.connection = connection;
    this.handler = handler;
    outbox = new Outbox(loop, new Port(), limits, tickMs);
  }

  /** Opens it with its first item. Without a token and an answer within that time it ends. */
  void open(AgentItem first, double connectTimeoutMs) {
    timer =
        loop.after(
            connectTimeoutMs,
            () -> {
              String what = call == null ? "the token function" : "the gateway";
              fail(Errors.transport(Status.Code.DEADLINE_EXCEEDED, what + " does not answer"));
            });
    connection
        .headers()
        .whenComplete(
            (headers, thrown) ->
                loop.run(
                    () -> {
                      if (over) {
                        return;
                      }
                      if (thrown != null) {
                        fail(CallweaveException.from(thrown));
                      } else {
                        start(headers, first);
                      }
                    }));
  }

  private void start(Metadata headers, AgentItem first) {
    // Ready again when nothing waits in the transport: then one write is in flight.
    CallOptions options = CallOptions.DEFAULT.withOnReadyThreshold(1);
    call = connection.channel().newCall(AgentServiceGrpc.getServeMethod(), options);
    call.start(new Listener(), headers);
    call.request(INBOUND);
    outbox.send(first);
  }

  void send(AgentItem item) {
    outbox.send(item);
  }

  /** Gives a call what carries its handle; anything else is of a kind newer than this library. */
  void toCall(GatewayItem item) {
    CallImpl of =
        switch (item.getItemCase()) {
          case AUDIO -> handles.get(item.getAudio().getHandle());
          case AUDIO_GAP -> handles.get(item.getAudioGap().getHandle());
          case MARK_REACHED -> handles.get(item.getMarkReached().getHandle());
          case PLAYBACK -> handles.get(item.getPlayback().getHandle());
          case PLAYBACK_CLEARED -> handles.get(item.getPlaybackCleared().getHandle());
          case NOTE -> handles.get(item.getNote().getHandle());
          default -> null;
        };
    if (of != null) {
      of.onItem(item);
    }
  }

  /** Sends a fresh token before the old one ends, if there is a source. What fails is told. */
  void refresh(double timeoutMs, Consumer<Throwable> failed) {
    if (!connection.hasTokenSource()) {
      return;
    }
    connection
        .freshToken()
        .orTimeout(Math.round(timeoutMs), TimeUnit.MILLISECONDS)
        .whenComplete(
            (token, thrown) ->
                loop.run(
                    () -> {
                      if (thrown instanceof TimeoutException) {
                        String text = "the token function does not answer";
                        failed.accept(Errors.transport(Status.Code.DEADLINE_EXCEEDED, text));
                      } else if (thrown != null) {
                        failed.accept(CallweaveException.from(thrown));
                      } else if (!over && token != null) {
                        Reauthenticate item = Reauthenticate.newBuilder().setToken(token).build();
                        send(AgentItem.newBuilder().setReauthenticate(item).build());
                      }
                    }));
  }

  /** Ends the stream from here; what is queued is still written. Twice that long at most. */
  void end(AgentItem last, double timeoutMs, Runnable done) {
    if (over || call == null) {
      fail(Errors.closed("agent"));
      done.run();
      return;
    }
    ending = true;
    if (last != null) {
      outbox.send(last);
    }
    onEnd = done;
    ScheduledFuture<?> limit = loop.after(timeoutMs, this::halfClose);
    outbox.whenIdle(
        () -> {
          Loop.cancel(limit);
          halfClose();
        });
    loop.after(2 * timeoutMs, () -> finish(Errors.closed("agent")));
  }

  private void halfClose() {
    if (over || halfClosed) {
      return;
    }
    halfClosed = true;
    outbox.close();
    call.halfClose();
  }

  /** Breaks the stream off. */
  void fail(CallweaveException error) {
    finish(error);
  }

  private void finish(CallweaveException error) {
    if (over) {
      return;
    }
    over = true;
    Loop.cancel(timer);
    outbox.close();
    if (call != null) {
      call.cancel("over", null);
    }
    connection.close();
    handler.ended(this, error);
    if (onEnd != null) {
      onEnd.run();
    }
  }

  private final class Port implements Outbox.Port {
    @Override
    public boolean ready() {
      return !over && call != null && call.isReady();
    }

    @Override
    public void write(List<AgentItem> items) {
      call.sendMessage(ServeRequest.newBuilder().addAllItems(items).build());
    }

    @Override
    public Collection<CallImpl> sources() {
      return handles.values();
    }

    @Override
    public void overflow() {
      fail(
          new CallweaveException(
              Reason.QUEUE_FULL,
              Status.Code.RESOURCE_EXHAUSTED,
              "the control queue is full",
              Map.of("queue", "the control queue"),
              null));
    }
  }

  private final class Listener extends ClientCall.Listener<ServeResponse> {
    @Override
    public void onMessage(ServeResponse response) {
      loop.execute(
          () -> {
            Loop.cancel(timer);
            for (GatewayItem item : response.getItemsList()) {
              if (!over) {
                handler.item(ServeStream.this, item);
              }
            }
            if (!over) {
              call.request(1);
            }
          });
    }

    @Override
    public void onReady() {
      loop.execute(outbox::kick);
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      loop.execute(
          () -> {
            if (ending) {
              finish(Errors.closed("agent"));
            } else if (status.isOk()) {
              finish(Errors.transport(Status.Code.UNAVAILABLE, "the gateway ended the stream"));
            } else {
              finish(CallweaveException.from(status.asRuntimeException(trailers)));
            }
          });
    }
  }
}
