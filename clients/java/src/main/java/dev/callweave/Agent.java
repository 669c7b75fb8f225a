package dev.callweave;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledFuture;

/**
 * An agent process: registers, takes calls, runs the handler for each, comes back after lost
 * connections. Safe for all threads.
 */
public final class Agent implements AutoCloseable {
  private enum Ending {
    NOT,
    DRAINING,
    CLOSING,
    CLOSED
  }

  private static final long MAX_DRAIN_MS = 86_400_000;

  private final AgentBuilder options;
  private final SessionConfig config;
  private final HandlerRunner handlers;
  private final AgentReports reports;
  private final Loop loop;

  /** Apart from the streams, so that contexts can be written while one is being reattached. */
  private final RotatingConnection requests;

  private final Contexts contexts;
  private final Set<Session> sessions = new LinkedHashSet<>();
  private final CallFuture<Void> started = new CallFuture<>();
  private final CallFuture<Void> closed = new CallFuture<>();
  private Session current;
  private Ending ending = Ending.NOT;
  private ScheduledFuture<?> drainTimer;
  private boolean loadFailed;
  private volatile double load = -1;

  Agent(AgentBuilder options, CallHandler handler) {
    this.options = options;
    config = options.config();
    loop = new Loop("callweave-" + config.register().getAgentId());
    reports = new AgentReports(options.onStatus(), options.onError());
    handlers =
        new HandlerRunner(loop, handler, options.executor(), options.keepsCalls(), reports::error);
    requests = new RotatingConnection(config.connection());
    contexts = new Contexts(requests);
  }

  /**
   * Makes an agent.
   *
   * @return its options
   */
  public static AgentBuilder builder() {
    return new AgentBuilder();
  }

  /**
   * Registers and takes calls.
   *
   * @return completes when the first gateway has answered, however long that takes; fails when it
   *     can never work: {@code UNAUTHENTICATED}, {@code PERMISSION_DENIED}, {@code POOL_NOT_FOUND},
   *     {@code INVALID_FIELD}, no gateway at the endpoint ({@code TRANSPORT}, {@code
   *     UNIMPLEMENTED}), or when it is closed meanwhile
   */
  public CallFuture<Void> start() {
    CallFuture<Void> asked = new CallFuture<>();
    loop.run(
        () -> {
          if (ending != Ending.NOT) {
            asked.fail(Errors.closed("agent"));
            return;
          }
          started.whenComplete(
              (none, thrown) -> {
                if (thrown == null) {
                  asked.complete(null);
                } else {
                  asked.completeExceptionally(CallweaveException.from(thrown));
                }
              });
          if (current == null) {
            begin(0, config);
          }
        });
    return asked;
  }

  /**
   * Takes calls until {@link #drain} or {@link #close} ends it.
   *
   * @throws CallweaveException when it cannot go on: as {@link #start}, {@code SUPERSEDED}; {@code
   *     TRANSPORT} with {@code CANCELLED} when the thread was interrupted, which stays interrupted
   */
  public void run() {
    start();
    closed.await();
  }

  /**
   * Takes no more calls, waits for those there are, at most {@link AgentBuilder#drainTimeout}, then
   * gives the rest back and closes. A second call waits for the first.
   *
   * @return completes when it is closed
   */
  public CallFuture<Void> drain() {
    return drain(options.drainTimeout());
  }

  /**
   * The same with a limit of its own.
   *
   * @param limit 0 to 86,400,000 ms
   * @return completes when it is closed; {@code INVALID_FIELD}, draining nothing
   */
  public CallFuture<Void> drain(Duration limit) {
    long limitMs;
    try {
      limitMs = Bounds.millis("limit", limit, 0, MAX_DRAIN_MS);
    } catch (CallweaveException e) {
      return CallFuture.failed(e);
    }
    CallFuture<Void> over = new CallFuture<>();
    closed.whenComplete((none, thrown) -> over.complete(null));
    loop.run(
        () -> {
          if (ending != Ending.NOT) {
            return;
          }
          ending = Ending.DRAINING;
          reports.status(AgentStatus.of(AgentStatus.Type.DRAINING));
          List.copyOf(sessions).forEach(Session::drain);
          drainTimer = loop.after(limitMs, this::closeNow);
          checkDrained();
        });
    return over;
  }

  /** Gives all calls back at once and waits until it is closed, some 4 s at most. */
  @Override
  public void close() {
    CallFuture<Void> over = new CallFuture<>();
    closed.whenComplete((none, thrown) -> over.complete(null));
    loop.run(this::closeNow);
    over.await();
  }

  /**
   * Drains at the first SIGTERM or SIGINT of the process and closes at the second. The process
   * itself goes on until its {@code main} returns, as with {@link #run}. Where Java does not let a
   * program have these signals, a shutdown hook drains.
   *
   * @return this
   */
  public Agent drainOnSignals() {
    Runnable once =
        () ->
            loop.run(
                () -> {
                  if (ending == Ending.NOT) {
                    drain();
                  } else {
                    closeNow();
                  }
                });
    if (!Signals.handle("TERM", once) | !Signals.handle("INT", once)) {
      Thread hook = new Thread(() -> drain().await(), "callweave-drain");
      Runtime.getRuntime().addShutdownHook(hook);
    }
    return this;
  }

  /**
   * Sends a fresh token on the streams there are, before the old one expires. New streams ask the
   * option {@code token}.
   *
   * @param token without "Bearer "
   */
  public void reauthenticate(String token) {
    loop.run(() -> sessions.forEach(session -> session.reauthenticate(token)));
  }

  /**
   * The calls that the agent has now.
   *
   * @return a snapshot
   */
  public List<Call> calls() {
    CallFuture<List<Call>> asked = new CallFuture<>();
    loop.run(
        () -> {
          List<Call> calls = new ArrayList<>();
          sessions.forEach(session -> calls.addAll(session.calls.values()));
          asked.complete(calls);
        });
    return asked.await();
  }

  /**
   * How many streams it has.
   *
   * @return those that a gateway has answered
   */
  public int streamCount() {
    CallFuture<Integer> asked = new CallFuture<>();
    loop.run(() -> asked.complete(sessions.stream().mapToInt(Session::streamCount).sum()));
    return asked.await();
  }

  /**
   * This process.
   *
   * @return as registered first
   */
  public String instanceId() {
    return config.register().getInstanceId();
  }

  private void begin(int endpoint, SessionConfig with) {
    Session session = new Session(loop, with, new Port(), endpoint);
    current = session;
    sessions.add(session);
    session.connect();
  }

  private void closeNow() {
    if (ending == Ending.CLOSING || ending == Ending.CLOSED) {
      return;
    }
    ending = Ending.CLOSING;
    Loop.cancel(drainTimer);
    if (sessions.isEmpty()) {
      finish(null);
    }
    List.copyOf(sessions)
        .forEach(
            session ->
                session.close(
                    () -> {
                      if (sessions.isEmpty()) {
                        finish(null);
                      }
                    }));
  }

  private void checkDrained() {
    boolean busy = sessions.stream().anyMatch(s -> !s.calls.isEmpty() || s.pendingOffers() > 0);
    if (ending == Ending.DRAINING && !busy) {
      closeNow();
    }
  }

  private void finish(CallweaveException error) {
    if (ending == Ending.CLOSED) {
      return;
    }
    ending = Ending.CLOSED;
    Loop.cancel(drainTimer);
    requests.close();
    started.fail(error == null ? Errors.closed("agent") : error);
    reports.status(AgentStatus.of(AgentStatus.Type.CLOSED));
    if (error == null) {
      closed.settle(null);
    } else {
      closed.fail(error);
    }
  }

  private int callCount() {
    return sessions.stream().mapToInt(session -> session.calls.size()).sum();
  }

  private void leaveEmptySessions() {
    for (Session session : List.copyOf(sessions)) {
      if (session != current && session.calls.isEmpty()) {
        session.close(() -> {});
      }
    }
  }

  /** What the sessions ask and tell, on the loop. */
  private final class Port implements SessionPort {
    @Override
    public Contexts contexts() {
      return contexts;
    }

    @Override
    public CompletableFuture<Decision> accept(Offer offer) {
      int pending = sessions.stream().mapToInt(Session::pendingOffers).sum();
      int taken = Math.max(callCount(), handlers.running()) + pending;
      Decision known =
          ending != Ending.NOT
              ? Decision.decline("draining")
              : taken >= config.register().getCapacity()
                  ? Decision.decline("at capacity")
                  : options.accept() == null ? Decision.take() : null;
      return known != null
          ? CompletableFuture.completedFuture(known)
          : CompletableFuture.supplyAsync(() -> options.accept().apply(offer), Loop.POOL);
    }

    @Override
    public void assigned(CallImpl call) {
      if (config.register().getAnswerOnAccept() && call.state() == CallState.PENDING) {
        call.onceAnswered(() -> handlers.begin(call));
      } else {
        handlers.begin(call);
      }
      call.ended()
          .whenComplete(
              (end, thrown) ->
                  loop.run(
                      () -> {
                        leaveEmptySessions();
                        checkDrained();
                      }));
    }

    @Override
    public void offerGone() {
      checkDrained();
    }

    @Override
    public void connected(Session session, String gatewayId) {
      started.settle(null);
      reports.status(new AgentStatus(AgentStatus.Type.CONNECTED, gatewayId, null, Duration.ZERO));
    }

    @Override
    public void disconnected(Session session, CallweaveException error, double retryInMs) {
      reports.status(
          new AgentStatus(AgentStatus.Type.DISCONNECTED, "", error, Convert.time(retryInMs)));
      checkDrained();
    }

    @Override
    public void goingAway(Session session, double deadlineMs) {
      Duration delay = Convert.time(deadlineMs);
      reports.status(new AgentStatus(AgentStatus.Type.GOING_AWAY, "", null, delay));
      session.drain();
      if (session == current && ending == Ending.NOT) {
        // Another instance id: the old session lives on for its calls.
        String instanceId = UUID.randomUUID().toString();
        SessionConfig with =
            config.with(config.register().toBuilder().setInstanceId(instanceId).build());
        begin(session.endpoint() + 1, with);
      }
      leaveEmptySessions();
    }

    @Override
    public double load() {
      double own = Math.min(1, (double) callCount() / config.register().getCapacity());
      if (options.load() == null) {
        return own;
      }
      Loop.POOL.execute(this::askLoad);
      return load < 0 ? own : load;
    }

    /** What is wrong with the answer is told once, until it is well again. */
    private void askLoad() {
      try {
        double asked = options.load().getAsDouble();
        if (!Double.isFinite(asked)) {
          throw Errors.invalidField("load", "a finite number from 0 to 1", asked);
        }
        load = Math.min(1, Math.max(0, asked));
        loadFailed = false;
      } catch (RuntimeException e) {
        load = -1;
        if (!loadFailed) {
          reports.error(e, null);
        }
        loadFailed = true;
      }
    }

    @Override
    public void error(Throwable thrown, String callId) {
      reports.error(thrown, callId);
    }

    @Override
    public void finished(Session session, CallweaveException error) {
      sessions.remove(session);
      if (session == current && error != null) {
        finish(error);
      }
      checkDrained();
    }
  }
}
