package dev.callweave;

import dev.callweave.v1.Register;
import java.time.Duration;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Executor;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.function.Function;
import java.util.regex.Pattern;

/**
 * Options of an agent. {@link #build} checks them and fails with {@code INVALID_FIELD}, naming the
 * option and its rule. Both ends of a range are allowed.
 */
public final class AgentBuilder extends ConnectionOptions<AgentBuilder> {
  /** So many calls with ids of 200 bytes fit a Reattach of 256 KiB. */
  private static final int MAX_CAPACITY = 1_000;

  private static final Pattern AGENT_ID = Pattern.compile("[A-Za-z0-9._-]{1,64}");

  private String agentId = "";
  private String instanceId = UUID.randomUUID().toString();
  private String pool = "default";
  private int capacity = 1;
  private AudioFormat audioFormat;
  private Map<String, String> labels = Map.of();
  private boolean answerOnAccept = true;
  private boolean heartbeat = true;
  private boolean noAudio;
  private Function<Offer, Decision> accept;
  private DoubleSupplier load;
  private boolean keepAfterHandler;
  private Executor executor = Loop.POOL;
  private Duration sendAhead = Duration.ofSeconds(1);
  private Duration maxPlaybackQueued = Duration.ofSeconds(60);
  private Duration maxAudioQueued = Duration.ofSeconds(2);
  private int maxMarks = 1_000;
  private int maxEventsQueued = 1_000;
  private int maxControlItems = 10_000;
  private int maxStreams = 4;
  private int callsPerStream = 50;
  private Duration connectTimeout = Duration.ofSeconds(5);
  private Duration reattachTimeout;
  private Duration drainTimeout = Duration.ofSeconds(30);
  private Consumer<AgentStatus> onStatus;
  private BiConsumer<Throwable, String> onError;

  AgentBuilder() {}

  /**
   * The agent, shared by its processes. Required.
   *
   * @param id 1 to 64 of A-Z a-z 0-9 . _ -
   * @return this
   */
  public AgentBuilder agentId(String id) {
    agentId = id;
    return this;
  }

  /**
   * This process.
   *
   * @param id default: a UUID
   * @return this
   */
  public AgentBuilder instanceId(String id) {
    instanceId = id;
    return this;
  }

  /**
   * The pool to take calls from.
   *
   * @param name default: {@code default}
   * @return this
   */
  public AgentBuilder pool(String name) {
    pool = name;
    return this;
  }

  /**
   * How many calls at a time, and so how many handlers run at a time; offers beyond it are
   * declined. So many come back with one message after a lost stream; run more processes for more.
   *
   * @param calls 1 to 1,000. Default: 1
   * @return this
   */
  public AgentBuilder capacity(int calls) {
    capacity = calls;
    return this;
  }

  /**
   * The format of audio both ways.
   *
   * @param format default: s16le at the rate of each call
   * @return this
   */
  public AgentBuilder audioFormat(AudioFormat format) {
    audioFormat = format;
    return this;
  }

  /**
   * For people: language, version.
   *
   * @param some at most 16. Default: none
   * @return this
   */
  public AgentBuilder labels(Map<String, String> some) {
    labels = Map.copyOf(some);
    return this;
  }

  /**
   * Taking a call answers it; the handler runs once it is answered, or in PENDING, if that failed.
   * Off: the handler runs in PENDING and calls {@link Call#answer()}.
   *
   * @param on default: true
   * @return this
   */
  public AgentBuilder answerOnAccept(boolean on) {
    answerOnAccept = on;
    return this;
  }

  /**
   * The agent is found frozen when this process stands still.
   *
   * @param on default: true
   * @return this
   */
  public AgentBuilder heartbeat(boolean on) {
    heartbeat = on;
    return this;
  }

  /**
   * The agent only speaks and commands; {@link Call#audio()} stays empty.
   *
   * @param on default: false
   * @return this
   */
  public AgentBuilder noAudio(boolean on) {
    noAudio = on;
    return this;
  }

  /**
   * Which offers to take. Asked on a thread that may block, up to the time left of the offer.
   * Throwing declines, and {@link #onError} is told.
   *
   * @param choice default: all, up to the capacity
   * @return this
   */
  public AgentBuilder accept(Function<Offer, Decision> choice) {
    accept = choice;
    return this;
  }

  /**
   * 0 to 1: offers go to low loads first. Asked with each heartbeat, on a thread that may block;
   * its newest answer is told. What it throws, or an answer that is no finite number, goes to
   * {@link #onError} once, and the default is told instead.
   *
   * @param source default: calls by capacity
   * @return this
   */
  public AgentBuilder load(DoubleSupplier source) {
    load = source;
    return this;
  }

  /**
   * What happens when the handler returns and the agent still has the call. False: in CONNECTED the
   * agent leaves, in ANSWERED the call ends when all audio was heard, in PENDING the seat is given
   * back. True: nothing.
   *
   * @param keep default: false
   * @return this
   */
  public AgentBuilder keepAfterHandler(boolean keep) {
    keepAfterHandler = keep;
    return this;
  }

  /**
   * Runs the handlers. One that refuses gives the seat back.
   *
   * @param own default: as many threads as handlers run, at most {@link #capacity}
   * @return this
   */
  public AgentBuilder executor(Executor own) {
    executor = own;
    return this;
  }

  /**
   * How far beyond what was heard audio is sent; the rest waits in the library.
   *
   * @param time 100 to 20,000 ms. Default: 1 s
   * @return this
   */
  public AgentBuilder sendAhead(Duration time) {
    sendAhead = time;
    return this;
  }

  /**
   * How much a call may have waiting to be played; full: {@code play} fails with QUEUE_FULL.
   *
   * @param time 100 to 3,600,000 ms. Default: 60 s
   * @return this
   */
  public AgentBuilder maxPlaybackQueued(Duration time) {
    maxPlaybackQueued = time;
    return this;
  }

  /**
   * How much unread audio of a call is kept; full: the oldest is dropped, told as a gap.
   *
   * @param time 20 to 600,000 ms. Default: 2 s
   * @return this
   */
  public AgentBuilder maxAudioQueued(Duration time) {
    maxAudioQueued = time;
    return this;
  }

  /**
   * How many marks of a call may wait; full: {@code mark} and {@code drained} fail with QUEUE_FULL.
   *
   * @param marks 1 to 1,000. Default: 1,000
   * @return this
   */
  public AgentBuilder maxMarks(int marks) {
    maxMarks = marks;
    return this;
  }

  /**
   * How many things may wait for the listeners of a call; full: what is more is dropped, and {@link
   * #onError} is told once.
   *
   * @param things 1 to 100,000. Default: 1,000
   * @return this
   */
  public AgentBuilder maxEventsQueued(int things) {
    maxEventsQueued = things;
    return this;
  }

  /**
   * How many control items may wait for a stream; full: the stream is given up and reattached.
   *
   * @param items 100 to 1,000,000. Default: 10,000
   * @return this
   */
  public AgentBuilder maxControlItems(int items) {
    maxControlItems = items;
    return this;
  }

  /**
   * How many streams, each on a connection of its own, carry the calls.
   *
   * @param streams 1 to 16. Default: 4
   * @return this
   */
  public AgentBuilder maxStreams(int streams) {
    maxStreams = streams;
    return this;
  }

  /**
   * Another stream is opened when each one has so many calls.
   *
   * @param calls 1 to 1,000. Default: 50
   * @return this
   */
  public AgentBuilder callsPerStream(int calls) {
    callsPerStream = calls;
    return this;
  }

  /**
   * How long the token and the answer of a gateway to a new stream may take together; passed: the
   * next attempt.
   *
   * @param time 100 to 600,000 ms. Default: 5 s
   * @return this
   */
  public AgentBuilder connectTimeout(Duration time) {
    connectTimeout = time;
    return this;
  }

  /**
   * After a lost stream calls end here with {@link EndCause#LOST} after this long: time to come
   * back, or, when the gateway died, for another one to take its calls over.
   *
   * @param time 0 to 3,600,000 ms. Default: the grace of the gateway and 13 s
   * @return this
   */
  public AgentBuilder reattachTimeout(Duration time) {
    reattachTimeout = time;
    return this;
  }

  /**
   * How long {@link Agent#drain()} waits for calls to end before it gives them back.
   *
   * @param time 0 to 86,400,000 ms. Default: 30 s
   * @return this
   */
  public AgentBuilder drainTimeout(Duration time) {
    drainTimeout = time;
    return this;
  }

  /**
   * What became of the connection; told in order, on a thread that may block.
   *
   * @param function default: one line on standard error when it is lost or cannot be made
   * @return this
   */
  public AgentBuilder onStatus(Consumer<AgentStatus> function) {
    onStatus = function;
    return this;
  }

  /**
   * A handler or listener threw, or an item was refused; told on a thread that may block. The text
   * is the call id, null when it is about none.
   *
   * @param function default: standard error
   * @return this
   */
  public AgentBuilder onError(BiConsumer<Throwable, String> function) {
    onError = function;
    return this;
  }

  /**
   * Makes the agent; {@link Agent#start} or {@link Agent#run} lets it take calls.
   *
   * @param handler what it does with a call
   * @return the agent
   * @throws CallweaveException {@code INVALID_FIELD}
   */
  public Agent build(CallHandler handler) {
    return new Agent(this, handler);
  }

  SessionConfig config() {
    if (agentId == null || !AGENT_ID.matcher(agentId).matches()) {
      throw Errors.invalidField("agentId", "1 to 64 of A-Z a-z 0-9 . _ -", agentId);
    }
    drainTimeoutMs();
    Register.Builder register =
        Register.newBuilder()
            .setAgentId(agentId)
            .setInstanceId(instanceId)
            .setPool(pool)
            .setCapacity(Bounds.number("capacity", capacity, 1, MAX_CAPACITY))
            .putAllLabels(labels)
            .setAnswerOnAccept(answerOnAccept)
            .setHeartbeat(heartbeat)
            .setNoAudio(noAudio);
    if (audioFormat != null) {
      register.setAudioFormat(Convert.format(audioFormat));
    }
    CallLimits limits =
        new CallLimits(
            Bounds.millis("maxAudioQueued", maxAudioQueued, 20, 600_000),
            Bounds.millis("maxPlaybackQueued", maxPlaybackQueued, 100, 3_600_000),
            Bounds.millis("sendAhead", sendAhead, 100, 20_000),
            Bounds.number("maxMarks", maxMarks, 1, 1_000),
            Bounds.number("maxEventsQueued", maxEventsQueued, 1, 100_000));
    return new SessionConfig(
        connection(),
        register.build(),
        limits,
        Bounds.millis("connectTimeout", connectTimeout, 100, 600_000),
        reattachTimeout == null
            ? -1
            : Bounds.millis("reattachTimeout", reattachTimeout, 0, 3_600_000),
        Bounds.number("maxControlItems", maxControlItems, 100, 1_000_000),
        Bounds.number("maxStreams", maxStreams, 1, 16),
        Bounds.number("callsPerStream", callsPerStream, 1, 1_000));
  }

  long drainTimeoutMs() {
    return Bounds.millis("drainTimeout", drainTimeout, 0, 86_400_000);
  }

  Duration drainTimeout() {
    return drainTimeout;
  }

  Function<Offer, Decision> accept() {
    return accept;
  }

  DoubleSupplier load() {
    return load;
  }

  boolean keepsCalls() {
    return keepAfterHandler;
  }

  Executor executor() {
    return executor;
  }

  Consumer<AgentStatus> onStatus() {
    return onStatus;
  }

  BiConsumer<Throwable, String> onError() {
    return onError;
  }
}
