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
import dev.callweave.v1.Unassigned;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ScheduledFuture;

/**
 * One registration at one gateway, over as many streams as it takes. Everything runs on the loop.
 */
final class Session implements ServeStream.Handler {
  static final double TICK_MS = 50;
  private static final double END_TIMEOUT_MS = 2_000;

  /** Beyond the grace: the lease of a dead gateway, and what its successor needs. */
  private static final double TAKEOVER_MS = 13_000;

  /** A stream that lived this long counts as stable: the next wait begins with the shortest. */
  private static final double STABLE_MS = 2_000;

  /** After a further stream that could not be opened the next is tried this much later. */
  private static final double JOIN_AGAIN_MS = 2_000;

  final Map<String, CallImpl> calls = new LinkedHashMap<>();
  private final Offers offers;
  private final List<ServeStream> streams = new ArrayList<>();
  private final Loop loop;
  private final SessionConfig config;
  private final SessionPort port;
  private final Backoff backoff = new Backoff();
  private final SessionTerms terms;
  private int endpointIndex;
  private ServeStream joining;
  private double joinNotBeforeMs;
  private boolean everUp;
  private boolean reattaching;
  private double upAtMs;
  private double lostAtMs;
  private ScheduledFuture<?> heartbeat;
  private ScheduledFuture<?> settleTimer;
  private final Strays strays;
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
    strays = new Strays(loop, this, config.connectTimeoutMs());
    terms = new SessionTerms(config.maxControlItems());
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

  /** Null, and the session is over, when the endpoint is none. */
  ServeStream open() {
    try {
      String endpoint = config.connection().endpoint(endpointIndex);
      Connection connection = new Connection(config.connection(), endpoint);
      ServeStream stream = new ServeStream(loop, connection, this, terms.limits, TICK_MS);
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
    boolean fatal = FinalErrors.isFinal(error, everUp);
    if (firstUp() != null && !fatal) {
      strays.expect();
    } else if (stream.up || firstUp() != null || streams.isEmpty() || fatal) {
      lost(stream.up, fatal, error);
    }
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
    // calls are kept for the gateway that takes them over and gives this agent its seats again.
    if (unknown) {
      terms.token = "";
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

  private AgentItem firstItem() {
    reattaching = !terms.token.isEmpty() && !calls.isEmpty();
    if (!reattaching) {
      return AgentItem.newBuilder().setRegister(config.register()).build();
    }
    return reattachItem(List.copyOf(calls.values()));
  }

  /** Calls without room in it end here. */
  AgentItem reattachItem(List<CallImpl> wanted) {
    Reattaching.Fitted fitted = Reattaching.fit(terms.token, wanted, terms.limits.maxBytes());
    for (CallImpl call : fitted.left()) {
      port.error(Reattaching.noRoom(call.id(), terms.limits.maxBytes()), call.id());
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
      case CREDENTIAL_EXPIRING ->
          stream.refresh(config.connectTimeoutMs(), thrown -> port.error(thrown, null));
      case GO_AWAY -> {
        boolean first = !leaving;
        leaving = true;
        if (first) {
          port.goingAway(this, Convert.ms(item.getGoAway().getDeadline()));
        }
      }
      default -> stream.toCall(item);
    }
  }

  private void onRegistered(ServeStream stream, Registered registered) {
    terms.onRegistered(registered);
    onUp(stream, registered.getGatewayId());
  }

  private void onUp(ServeStream stream, String gatewayId) {
    stream.outbox.limits(terms.limits);
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
    if (config.register().getHeartbeat() && terms.heartbeatMs > 0) {
      heartbeat = loop.every(terms.heartbeatMs, this::beat);
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
    if (draining || leaving || closed || terms.token.isEmpty()) {
      return;
    }
    joining = open();
    if (joining != null) {
      Join join = Join.newBuilder().setSessionToken(terms.token).build();
      joining.open(AgentItem.newBuilder().setJoin(join).build(), config.connectTimeoutMs());
    }
  }

  /** Calls that the gateway neither gave back nor refused after a Reattach. */
  void dropUnanswered() {
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
            terms.maxPlaybackMs,
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
    strays.stop();
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
  double takeoverMs() {
    double own = config.reattachTimeoutMs();
    return own < 0 ? terms.graceMs + TAKEOVER_MS : own;
  }

  private void endCalls(EndCause cause) {
    terms.token = "";
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
