package dev.callweave;

import dev.callweave.v1.AgentItem;
import dev.callweave.v1.Assigned;
import dev.callweave.v1.AssignedResume;
import dev.callweave.v1.Bye;
import dev.callweave.v1.CommandResult;
import dev.callweave.v1.Drain;
import dev.callweave.v1.GatewayItem;
import dev.callweave.v1.Heartbeat;
import dev.callweave.v1.ItemRefused;
import dev.callweave.v1.Join;
import dev.callweave.v1.Reauthenticate;
import dev.callweave.v1.Registered;
import dev.callweave.v1.ServeLimits;
import dev.callweave.v1.Unassigned;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ScheduledFuture;

/**
 * One registration at one gateway, over as many streams as it takes. Everything runs on the loop.
 */
final class Session implements ServeStream.Handler {
  /** With these a new attempt is no use. */
  private static final Set<Reason> FATAL =
      EnumSet.of(
          Reason.SUPERSEDED,
          Reason.INVALID_FIELD,
          Reason.POOL_NOT_FOUND,
          Reason.UNAUTHENTICATED,
          Reason.PERMISSION_DENIED);

  /** Final only before the first registration: a configuration is reloaded, a token renewed. */
  private static final Set<Reason> FATAL_AT_FIRST =
      EnumSet.of(Reason.POOL_NOT_FOUND, Reason.UNAUTHENTICATED, Reason.PERMISSION_DENIED);

  /** What is no gateway, or never lets this client in. Final only before the first registration. */
  private static final Set<Status.Code> FATAL_CODES =
      EnumSet.of(
          Status.Code.UNIMPLEMENTED, Status.Code.PERMISSION_DENIED, Status.Code.UNAUTHENTICATED);

  static final int MAX_MESSAGE_ITEMS = 256;
  static final int MAX_MESSAGE_BYTES = 256 * 1024;
  static final double TICK_MS = 50;
  private static final double END_TIMEOUT_MS = 2_000;

  /** Beyond the grace: the lease of a dead gateway, and what its successor needs. */
  private static final double TAKEOVER_MS = 13_000;

  /** A stream that lived this long counts as stable: the next wait begins with the shortest. */
  private static final double STABLE_MS = 2_000;

  /** So long a gateway has to move the calls of one lost stream; then they are asked back. */
  private static final double MOVE_MS = 500;

  /** After a further stream that could not be opened the next is tried this much later. */
  private static final double JOIN_AGAIN_MS = 2_000;

  final Map<String, CallImpl> calls = new LinkedHashMap<>();
  private final Offers offers;
  private final List<ServeStream> streams = new ArrayList<>();
  private final Loop loop;
  private final SessionConfig config;
  private final SessionPort port;
  private final Backoff backoff = new Backoff();
  private String token = "";
  private int endpointIndex;
  private ServeStream joining;
  private double joinNotBeforeMs;
  private boolean everUp;
  private boolean reattaching;
  private double upAtMs;
  private double lostAtMs;
  private double graceMs = 2_000;
  private double heartbeatMs = 500;
  private double maxPlaybackMs = 30_000;
  private Outbox.Limits limits;
  private ScheduledFuture<?> heartbeat;
  private ScheduledFuture<?> settleTimer;
  private ScheduledFuture<?> moveTimer;
  private ScheduledFuture<?> retryTimer;
  private boolean settling;
  private boolean draining;
  private boolean leaving;
  private boolean closed;
  private boolean finished;

  Session(Loop loop, SessionConfig config, SessionPort port, int firstEndpoint) {
    this.loop = loop;
    this.config = config;
    this.port = port;
    endpointIndex = firstEndpoint;
    offers = new Offers(loop, port, this::alive);
    limits = new Outbox.Limits(MAX_MESSAGE_ITEMS, MAX_MESSAGE_BYTES, config.maxControlItems());
  }

  int endpoint() {
    return endpointIndex;
  }

  /** Offers that were taken and not yet assigned. */
  int pendingOffers() {
    return offers.size();
  }

  int streamCount() {
    return (int) streams.stream().filter(stream -> stream.up).count();
  }

  void connect() {
    if (closed || finished) {
      return;
    }
    ServeStream stream = open();
    if (stream != null) {
      stream.open(firstItem(), config.connectTimeoutMs());
    }
  }

  private ServeStream open() {
    try {
      String endpoint = config.connection().endpoint(endpointIndex);
      Connection connection = new Connection(config.connection(), endpoint);
      ServeStream stream = new ServeStream(loop, connection, this, limits, TICK_MS);
      streams.add(stream);
      return stream;
    } catch (CallweaveException e) {
      endCalls(EndCause.LOST);
      finish(e);
      return null;
    }
  }

  /** No more offers; calls go on. */
  void drain() {
    if (!draining) {
      draining = true;
      sendDrain();
    }
  }

  private void sendDrain() {
    send(AgentItem.newBuilder().setDrain(Drain.getDefaultInstance()).build());
  }

  /** A fresh credential for the streams. */
  void reauthenticate(String fresh) {
    Reauthenticate item = Reauthenticate.newBuilder().setToken(fresh).build();
    for (ServeStream stream : streams) {
      stream.send(AgentItem.newBuilder().setReauthenticate(item).build());
    }
  }

  /** Gives all calls back and ends. */
  void close(Runnable done) {
    if (closed || finished) {
      done.run();
      return;
    }
    closed = true;
    ServeStream first = firstUp();
    endCalls(EndCause.CLOSED);
    down();
    List<ServeStream> open = List.copyOf(streams);
    streams.clear();
    Runnable end =
        () -> {
          for (ServeStream stream : open) {
            stream.fail(Errors.closed("agent"));
          }
          finish(null);
          done.run();
        };
    if (first == null) {
      end.run();
    } else {
      AgentItem bye = AgentItem.newBuilder().setBye(Bye.getDefaultInstance()).build();
      first.end(bye, END_TIMEOUT_MS, end);
    }
  }

  @Override
  public void ended(ServeStream stream, CallweaveException error) {
    if (!streams.remove(stream)) {
      return;
    }
    if (stream == joining) {
      joining = null;
      joinNotBeforeMs = Loop.now() + JOIN_AGAIN_MS;
    }
    stream.handles.values().forEach(CallImpl::onDetached);
    stream.handles.clear();
    boolean fatal = isFatal(error);
    if (firstUp() != null && !fatal) {
      expectMoves();
    } else if (stream.up || firstUp() != null || streams.isEmpty() || fatal) {
      lost(stream.up, fatal, error);
    }
  }

  /**
   * One stream of several is gone. The gateway moves its calls to another as soon as it sees that;
   * should it not, they are asked back on a new one.
   */
  private void expectMoves() {
    Loop.cancel(moveTimer);
    moveTimer =
        loop.after(
            MOVE_MS,
            () -> {
              List<CallImpl> strays =
                  calls.values().stream().filter(call -> !call.isAttached()).toList();
              if (strays.isEmpty()) {
                return;
              }
              ServeStream stream = open();
              if (stream != null) {
                stream.open(reattachItem(strays), config.connectTimeoutMs());
                moveTimer = loop.after(2 * config.connectTimeoutMs(), this::dropUnanswered);
              }
            });
  }

  /** No stream is left. */
  private void lost(boolean wasUp, boolean fatal, CallweaveException error) {
    boolean stable = wasUp && Loop.now() - upAtMs > STABLE_MS;
    List<ServeStream> rest = List.copyOf(streams);
    streams.clear();
    rest.forEach(stream -> stream.fail(error));
    down();
    if (wasUp && !settling) {
      lostAtMs = Loop.now();
    }
    if (stable) {
      backoff.reset();
    }
    if (fatal) {
      endCalls(EndCause.LOST);
      finish(error);
      return;
    }
    boolean unknown = error.reason() == Reason.SESSION_NOT_FOUND;
    // The gateway died, or this is another one: register there under the same instance id. Its
    // calls
    // are kept for the gateway that takes them over and gives this agent its seats again.
    if (unknown) {
      token = "";
    }
    giveUpLateCalls();
    if (leaving && calls.isEmpty()) {
      finish(null);
      return;
    }
    if (!wasUp && !unknown) {
      endpointIndex++;
    }
    double waitMs = unknown ? 0 : backoff.next();
    port.disconnected(this, error, waitMs);
    retryTimer =
        loop.after(
            waitMs,
            () -> {
              giveUpLateCalls();
              connect();
            });
  }

  private boolean isFatal(CallweaveException error) {
    if (everUp) {
      return FATAL.contains(error.reason()) && !FATAL_AT_FIRST.contains(error.reason());
    }
    return FATAL.contains(error.reason()) || FATAL_CODES.contains(error.code());
  }

  private AgentItem firstItem() {
    reattaching = !token.isEmpty() && !calls.isEmpty();
    if (!reattaching) {
      return AgentItem.newBuilder().setRegister(config.register()).build();
    }
    return reattachItem(List.copyOf(calls.values()));
  }

  private AgentItem reattachItem(List<CallImpl> wanted) {
    Reattaching.Fitted fitted = Reattaching.fit(token, wanted, limits.maxBytes());
    for (CallImpl call : fitted.left()) {
      String text = "the calls to come back to do not fit a message of " + limits.maxBytes();
      port.error(
          new CallweaveException(
              Reason.TRANSPORT,
              Status.Code.RESOURCE_EXHAUSTED,
              text + " bytes",
              Map.of("call_id", call.id()),
              null),
          call.id());
      remove(call).over(new CallEnd(EndCause.LOST, null));
    }
    return AgentItem.newBuilder().setReattach(fitted.reattach()).build();
  }

  @Override
  public void item(ServeStream stream, GatewayItem item) {
    switch (item.getItemCase()) {
      case REGISTERED -> onRegistered(stream, item.getRegistered());
      case OFFER -> offers.onOffer(stream, item.getOffer(), draining || leaving);
      case OFFER_REVOKED -> offers.remove(item.getOfferRevoked().getOfferId());
      case ASSIGNED -> onAssigned(stream, item.getAssigned());
      case UNASSIGNED -> onUnassigned(stream, item.getUnassigned());
      case COMMAND_RESULT -> onResult(stream, item.getCommandResult());
      case CALL_EVENT -> {
        CallImpl call = calls.get(item.getCallEvent().getCallId());
        if (call != null) {
          call.onEvent(item.getCallEvent());
        }
      }
      case ITEM_REFUSED -> onRefused(stream, item.getItemRefused());
      case GO_AWAY -> {
        boolean first = !leaving;
        leaving = true;
        if (first) {
          port.goingAway(this, Convert.ms(item.getGoAway().getDeadline()));
        }
      }
      case AUDIO -> toCall(stream, item.getAudio().getHandle(), item);
      case AUDIO_GAP -> toCall(stream, item.getAudioGap().getHandle(), item);
      case MARK_REACHED -> toCall(stream, item.getMarkReached().getHandle(), item);
      case PLAYBACK -> toCall(stream, item.getPlayback().getHandle(), item);
      case PLAYBACK_CLEARED -> toCall(stream, item.getPlaybackCleared().getHandle(), item);
      case NOTE -> toCall(stream, item.getNote().getHandle(), item);
      default -> {
        // A kind newer than this library.
      }
    }
  }

  private static void toCall(ServeStream stream, int handle, GatewayItem item) {
    CallImpl call = stream.handles.get(handle);
    if (call != null) {
      call.onItem(item);
    }
  }

  private void onRegistered(ServeStream stream, Registered registered) {
    if (!registered.getSessionToken().isEmpty()) {
      token = registered.getSessionToken();
    }
    if (registered.hasReattachGrace()) {
      graceMs = Convert.ms(registered.getReattachGrace());
    }
    if (registered.hasHeartbeatInterval()) {
      heartbeatMs = Convert.ms(registered.getHeartbeatInterval());
    }
    if (registered.hasLimits()) {
      ServeLimits told = registered.getLimits();
      limits =
          new Outbox.Limits(
              least(MAX_MESSAGE_ITEMS, told.getMaxItems()),
              least(MAX_MESSAGE_BYTES, told.getMaxMessageBytes()),
              config.maxControlItems());
      if (told.hasMaxPlayback()) {
        maxPlaybackMs = Convert.ms(told.getMaxPlayback());
      }
    }
    onUp(stream, registered.getGatewayId());
  }

  private static int least(int own, int told) {
    return told > 0 ? Math.min(own, told) : own;
  }

  private void onUp(ServeStream stream, String gatewayId) {
    stream.outbox.limits(limits);
    if (stream.up) {
      return;
    }
    boolean another = firstUp() != null;
    stream.up = true;
    if (stream == joining) {
      joining = null;
    }
    if (another) {
      joinIfNeeded();
      return;
    }
    everUp = true;
    upAtMs = Loop.now();
    if (config.register().getHeartbeat() && heartbeatMs > 0) {
      heartbeat = loop.every(heartbeatMs, this::beat);
    }
    if (draining || leaving) {
      sendDrain();
    }
    if (!calls.isEmpty()) {
      double leftMs = Math.max(0, lostAtMs + takeoverMs() - Loop.now());
      settling = true;
      settleTimer =
          loop.after(reattaching ? config.connectTimeoutMs() : leftMs, this::dropUnanswered);
    }
    port.connected(this, gatewayId);
  }

  /** Another stream, when each one has enough calls. */
  private void joinIfNeeded() {
    int open = streamCount();
    boolean wanted = calls.size() + offers.size() >= open * config.callsPerStream();
    if (!wanted || open >= config.maxStreams() || joining != null || Loop.now() < joinNotBeforeMs) {
      return;
    }
    if (draining || leaving || closed || token.isEmpty()) {
      return;
    }
    joining = open();
    if (joining != null) {
      Join join = Join.newBuilder().setSessionToken(token).build();
      joining.open(AgentItem.newBuilder().setJoin(join).build(), config.connectTimeoutMs());
    }
  }

  /** Calls that the gateway neither gave back nor refused after a Reattach. */
  private void dropUnanswered() {
    settling = false;
    for (CallImpl call : List.copyOf(calls.values())) {
      if (!call.isAttached()) {
        remove(call).over(new CallEnd(EndCause.LOST, null));
      }
    }
  }

  private void beat() {
    Heartbeat beat = Heartbeat.newBuilder().setLoad(port.load()).build();
    send(AgentItem.newBuilder().setHeartbeat(beat).build());
  }

  private void onAssigned(ServeStream stream, Assigned assigned) {
    onUp(stream, assigned.getCall().getGatewayId());
    String callId = assigned.getCall().getCallId();
    Offer offer = offers.remove(assigned.getOfferId());
    CallImpl known = calls.get(callId);
    boolean takenOver = assigned.getResume() == AssignedResume.ASSIGNED_RESUME_TAKEN_OVER;
    boolean back = known != null && (takenOver || known.epoch() == assigned.getEpoch());
    if (back && assigned.getResume() != AssignedResume.ASSIGNED_RESUME_NEW) {
      known.stream.handles.remove(known.handle, known);
      // The gateway may have seen the loss of a stream first.
      known.onDetached();
      stream.handles.put(assigned.getHandle(), known);
      known.onReattached(stream, assigned);
      return;
    }
    if (known != null) {
      remove(known).over(new CallEnd(EndCause.LOST, null));
    }
    CallImpl call =
        new CallImpl(
            loop,
            stream,
            assigned,
            offer == null ? null : offer.context(),
            offer == null ? null : offer.escalationReason(),
            port.contexts(),
            config.callLimits(),
            maxPlaybackMs,
            thrown -> port.error(thrown, callId));
    calls.put(callId, call);
    stream.handles.put(assigned.getHandle(), call);
    port.assigned(call);
    joinIfNeeded();
  }

  private void onUnassigned(ServeStream stream, Unassigned unassigned) {
    CallImpl call = stream.handles.get(unassigned.getHandle());
    if (call != null) {
      remove(call).onUnassigned(unassigned);
    }
  }

  private void onResult(ServeStream stream, CommandResult result) {
    CallImpl call = stream.handles.get(result.getHandle());
    if (call == null) {
      call = calls.get(result.getCall().getCallId());
    }
    if (call != null) {
      call.onResult(result);
    }
  }

  private void onRefused(ServeStream stream, ItemRefused refused) {
    CallweaveException error = Errors.fromWire(refused.getError());
    String offerId = error.metadata().get("offer_id");
    if (offerId != null) {
      offers.remove(offerId);
    }
    if (error.reason() == Reason.OFFER_GONE) {
      return;
    }
    boolean reattach = refused.getItem().equals("reattach");
    CallImpl call = stream.handles.get(refused.getHandle());
    if (call == null && reattach) {
      call = calls.get(error.callId().orElse(""));
    }
    boolean taken = error.reason() == Reason.SEAT_TAKEN;
    boolean stale = error.reason() == Reason.STALE_HANDLE;
    if (call == null) {
      // A repeated item of a call that is over is no news.
      if (!taken && !stale) {
        port.error(error, error.callId().orElse(null));
      }
      return;
    }
    if (reattach || taken) {
      onUp(stream, "");
    }
    if (reattach || taken || stale) {
      remove(call).over(new CallEnd(EndCause.LOST, null));
    } else {
      call.onRefused(refused.getItem(), error);
    }
  }

  private void send(AgentItem item) {
    ServeStream stream = firstUp();
    if (stream != null) {
      stream.send(item);
    }
  }

  /** The stream, or another one if it is gone; null when there is none. */
  private ServeStream alive(ServeStream stream) {
    return streams.contains(stream) ? stream : firstUp();
  }

  private ServeStream firstUp() {
    for (ServeStream stream : streams) {
      if (stream.up) {
        return stream;
      }
    }
    return null;
  }

  /** All streams are gone. */
  private void down() {
    Loop.cancel(heartbeat);
    Loop.cancel(settleTimer);
    Loop.cancel(moveTimer);
    Loop.cancel(retryTimer);
    joining = null;
    offers.clear();
    for (CallImpl call : List.copyOf(calls.values())) {
      call.stream.handles.remove(call.handle, call);
      call.onDetached();
    }
  }

  private void giveUpLateCalls() {
    if (!calls.isEmpty() && Loop.now() - lostAtMs > takeoverMs()) {
      endCalls(EndCause.LOST);
    }
  }

  /** How long calls are kept after a lost stream: to come back, or to be taken over. */
  private double takeoverMs() {
    double own = config.reattachTimeoutMs();
    return own < 0 ? graceMs + TAKEOVER_MS : own;
  }

  private void endCalls(EndCause cause) {
    token = "";
    for (CallImpl call : List.copyOf(calls.values())) {
      remove(call).over(new CallEnd(cause, null));
    }
  }

  private CallImpl remove(CallImpl call) {
    calls.remove(call.id());
    call.stream.handles.remove(call.handle, call);
    return call;
  }

  private void finish(CallweaveException error) {
    if (!finished) {
      finished = true;
      port.finished(this, error);
    }
  }
}
