package dev.callweave;

import com.google.protobuf.ByteString;
import dev.callweave.v1.AgentAudio;
import dev.callweave.v1.AgentItem;
import dev.callweave.v1.Assigned;
import dev.callweave.v1.AssignedResume;
import dev.callweave.v1.CallAudio;
import dev.callweave.v1.CallContext;
import dev.callweave.v1.CallEvent;
import dev.callweave.v1.ClearPlayback;
import dev.callweave.v1.Command;
import dev.callweave.v1.CommandResult;
import dev.callweave.v1.GatewayItem;
import dev.callweave.v1.Mark;
import dev.callweave.v1.MarkReached;
import dev.callweave.v1.PlaybackCleared;
import dev.callweave.v1.Unassigned;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.function.Consumer;

/** The call of an agent. What the session tells and all that changes it runs on the loop. */
final class CallImpl extends CallVerbs implements Outbox.Source {
  private final Loop loop;
  private final Consumer<Throwable> onError;
  private final int attempt;
  private final AudioFormat format;
  private final CallContext context;
  private final EscalationReason escalationReason;
  private final AudioStream audio;
  private final Commands commands;
  private final Player player;
  private final CommandRunner runner;
  private final CallInfo info;
  private final ArrayDeque<Consumer<PlaybackCleared>> clears = new ArrayDeque<>();
  private final CallFuture<CallEnd> ended = new CallFuture<>();
  private volatile CallEnd end;
  private volatile long epoch;
  private volatile double playedMs;
  private long lastSequence;
  private long lastOwnerEpoch;
  private boolean attached = true;
  private Runnable onAnswered;

  /** The stream that it is on, and its handle there. */
  ServeStream stream;

  int handle;

  CallImpl(
      Loop loop,
      ServeStream stream,
      Assigned assigned,
      CallContext context,
      EscalationReason escalationReason,
      Contexts contexts,
      CallLimits limits,
      double maxPlaybackMs,
      Consumer<Throwable> onError) {
    super(assigned.getCall().getCallId(), contexts);
    this.loop = loop;
    this.stream = stream;
    this.context = context;
    this.escalationReason = escalationReason;
    this.onError = onError;
    info = new CallInfo(this, assigned.getCall(), limits.maxEventsQueued(), onError);
    dev.callweave.v1.Call current = assigned.getCall();
    attempt = assigned.getAttempt();
    epoch = assigned.getEpoch();
    handle = assigned.getHandle();
    lastSequence = current.getLastEventSequence();
    format = Convert.format(assigned.getAudioFormat(), current.getSampleRateHertz());
    audio = new AudioStream(limits.maxAudioQueuedMs());
    commands = new Commands(id());
    PlaybackQueue queue = limits.queue(format, maxPlaybackMs);
    PlaybackQueue.Position position = Convert.position(current.getPlayback());
    queue.startAt(position);
    playedMs = position.playedMs();
    player =
        new Player(
            queue,
            new PlayerPort(),
            limits.maxPlaybackQueuedMs(),
            limits.sendAheadMs(),
            limits.maxMarks());
    runner = new CommandRunner(this, loop, commands, player);
  }

  @Override
  public dev.callweave.v1.Call info() {
    return info.current();
  }

  @Override
  public int attempt() {
    return attempt;
  }

  @Override
  public long epoch() {
    return epoch;
  }

  @Override
  public CallState state() {
    return info.state();
  }

  @Override
  public Optional<AgentMode> mode() {
    return Optional.ofNullable(info.mode());
  }

  @Override
  public AudioFormat audioFormat() {
    return format;
  }

  @Override
  public Optional<CallContext> context() {
    return Optional.ofNullable(context);
  }

  @Override
  public Optional<EscalationReason> escalationReason() {
    return Optional.ofNullable(escalationReason);
  }

  @Override
  public CallFuture<CallEnd> ended() {
    return ended;
  }

  @Override
  public boolean isOver() {
    return end != null;
  }

  @Override
  public PlaybackStatus playback() {
    CallFuture<PlaybackStatus> asked = new CallFuture<>();
    loop.run(() -> asked.complete(statusNow()));
    return asked.await();
  }

  @Override
  public AudioStream audio() {
    return audio;
  }

  @Override
  public CallFuture<PlayEnd> play(byte[] pcm) {
    ByteString copy = ByteString.copyFrom(pcm);
    CallFuture<PlayEnd> future = new CallFuture<>();
    loop.run(() -> player.play(copy, future));
    return future;
  }

  @Override
  public CallFuture<PlayEnd> play(Iterable<byte[]> chunks) {
    CallFuture<PlayEnd> future = new CallFuture<>();
    loop.run(() -> player.play(chunks.iterator(), future));
    return future;
  }

  @Override
  public CallFuture<MarkEnd> mark(String name) {
    if (name == null) {
      return CallFuture.failed(Errors.invalidField("mark", "1 to 100 characters", "null"));
    }
    return marked(name);
  }

  @Override
  public CallFuture<MarkEnd> drained() {
    return marked(null);
  }

  private CallFuture<MarkEnd> marked(String name) {
    CallFuture<MarkEnd> future = new CallFuture<>();
    loop.run(() -> player.mark(name, future));
    return future;
  }

  @Override
  public CallFuture<Cleared> clear() {
    CallFuture<Cleared> future = new CallFuture<>();
    loop.run(() -> clear(future));
    return future;
  }

  private void clear(CallFuture<Cleared> future) {
    if (end != null) {
      future.fail(Errors.callOver(id(), end.cause()));
      return;
    }
    Player.Interrupted interrupted = player.clear();
    Consumer<PlaybackCleared> finish =
        cleared ->
            future.settle(
                new Cleared(
                    Convert.time(interrupted.droppedMs() + Convert.ms(cleared.getDroppedLocal())),
                    Convert.time(cleared.getEstimatedUnheardAtProvider()),
                    Convert.time(cleared.getPlayed())));
    if (attached) {
      clears.add(finish);
      stream.send(
          AgentItem.newBuilder()
              .setClearPlayback(ClearPlayback.newBuilder().setHandle(handle))
              .build());
    } else {
      // Without a stream the gateway has cut the playback itself.
      finish.accept(PlaybackCleared.getDefaultInstance());
    }
    interrupted.proceed().forEach(runner::send);
  }

  @Override
  public Runnable addListener(CallListener listener) {
    return info.add(listener);
  }

  /** Runs when the call is answered, when that failed, or when it is over. */
  void onceAnswered(Runnable action) {
    onAnswered = action;
  }

  /** The newest event seen, for Reattach. */
  long lastEventSequence() {
    return lastSequence;
  }

  boolean isAttached() {
    return attached;
  }

  @Override
  public boolean hasPlayback() {
    return !player.queue.isEmpty();
  }

  @Override
  public AgentItem nextItem() {
    while (true) {
      PlaybackQueue.Item item = player.queue.next();
      player.onSent();
      if (item == null) {
        return null;
      }
      AgentItem.Builder wire = AgentItem.newBuilder();
      if (!item.isMarker()) {
        return wire.setAudio(AgentAudio.newBuilder().setHandle(handle).setPcm(item.pcm())).build();
      }
      String mark = player.sendMark(item.marker());
      if (mark != null) {
        return wire.setMark(Mark.newBuilder().setHandle(handle).setName(mark)).build();
      }
      if (item.marker().startsWith("c")) {
        Command command = commands.toSend(item.marker().substring(1), handle);
        if (command != null) {
          return wire.setCommand(command).build();
        }
      }
    }
  }

  /** Something about the call that carries its handle. */
  void onItem(GatewayItem item) {
    switch (item.getItemCase()) {
      case AUDIO -> onAudio(item.getAudio());
      case AUDIO_GAP -> audio.push(Convert.gap(item.getAudioGap(), rate()), 0);
      case MARK_REACHED -> onMarkReached(item.getMarkReached());
      case PLAYBACK -> onProgress(Convert.position(item.getPlayback().getPosition()));
      case PLAYBACK_CLEARED -> onCleared(item.getPlaybackCleared());
      case NOTE -> {
        Note note = new Note(item.getNote().getText(), item.getNote().getAuthor());
        info.tell(listener -> listener.onNote(this, note));
      }
      default -> throw new IllegalStateException("no item of a call: " + item.getItemCase());
    }
  }

  void onResult(CommandResult result) {
    if (result.hasCall()) {
      update(result.getCall(), false);
    }
    commands.onResult(result);
  }

  void onEvent(CallEvent event) {
    long owner = Math.max(1, event.getOwnerEpoch());
    // Numbers that a dead gateway told and did not store come again, from its successor.
    if (event.getSequence() <= lastSequence && owner <= lastOwnerEpoch) {
      return;
    }
    lastSequence = event.getSequence();
    lastOwnerEpoch = Math.max(lastOwnerEpoch, owner);
    set(CallEvents.applied(info.current(), event));
    info.tell(listener -> listener.onEvent(this, event));
    if (event.hasCommandDone()) {
      commands.onDone(event.getCommandDone());
      if (event.getCommandDone().getVerb().equals("AnswerCall")) {
        answered();
      }
    }
  }

  void onRefused(String item, CallweaveException error) {
    switch (error.reason()) {
      case PLAYBACK_FULL -> {
        player.queue.onFull();
        kick();
      }
      case STALE_HANDLE -> over(new CallEnd(EndCause.LOST, null));
      default -> {
        if (item.equals("mark")) {
          player.onMarkRefused();
        } else if (item.equals("clear_playback") && !clears.isEmpty()) {
          clears.poll().accept(PlaybackCleared.getDefaultInstance());
        } else {
          onError.accept(error);
        }
      }
    }
  }

  /** The stream broke; the seat is reserved for a moment. */
  void onDetached() {
    if (!attached || end != null) {
      return;
    }
    attached = false;
    player.onDetached();
    finishClears();
    info.tell(listener -> listener.onAttached(this, false));
  }

  /** The call is on a new stream: what was lost on the way is sent again. */
  void onReattached(ServeStream on, Assigned assigned) {
    stream = on;
    handle = assigned.getHandle();
    epoch = assigned.getEpoch();
    attached = true;
    boolean takenOver = assigned.getResume() == AssignedResume.ASSIGNED_RESUME_TAKEN_OVER;
    var requeued =
        player.onReattached(Convert.position(assigned.getCall().getPlayback()), takenOver);
    if (takenOver) {
      runner.expectOutcomes();
    }
    update(assigned.getCall(), true);
    for (String requestId : commands.unanswered()) {
      if (requeued.contains(requestId)) {
        commands.requeue(requestId);
      } else {
        runner.send(requestId);
      }
    }
    info.tell(listener -> listener.onAttached(this, true));
    kick();
  }

  void onUnassigned(Unassigned unassigned) {
    EndCause cause = Convert.named(EndCause.class, "SEAT_CAUSE_", unassigned.getCause());
    over(
        new CallEnd(
            cause == null ? EndCause.LOST : cause, Convert.endReason(unassigned.getEndReason())));
  }

  /** The agent does not have the call any more. */
  void over(CallEnd why) {
    if (end != null) {
      return;
    }
    end = why;
    if (why.cause() == EndCause.CALL_ENDED) {
      set(CallEvents.ended(info.current(), why.reason()));
    }
    finishClears();
    player.end(why.cause());
    commands.onOver(why);
    audio.end();
    info.tell(listener -> listener.onEnded(this, why));
    ended.settle(why);
    answered();
  }

  private void answered() {
    Runnable action = onAnswered;
    onAnswered = null;
    if (action != null) {
      action.run();
    }
  }

  private void finishClears() {
    while (!clears.isEmpty()) {
      clears.poll().accept(PlaybackCleared.getDefaultInstance());
    }
  }

  private void onAudio(CallAudio item) {
    byte[] pcm = item.getPcm().toByteArray();
    AudioChunk chunk =
        new AudioChunk.Pcm(pcm, item.getPosition(), Convert.at(item.getPosition(), rate()));
    audio.push(chunk, pcm.length / format.bytesPerMs());
  }

  private void onMarkReached(MarkReached reached) {
    boolean cleared = reached.getEnd() == dev.callweave.v1.MarkEnd.MARK_END_CLEARED;
    player.onMarkReached(reached.getName(), cleared ? MarkEnd.CLEARED : MarkEnd.PLAYED);
  }

  private void onProgress(PlaybackQueue.Position position) {
    playedMs = position.playedMs();
    player.queue.onProgress(position);
    kick();
    PlaybackStatus now = statusNow();
    info.tell(listener -> listener.onPlayback(this, now));
  }

  private void onCleared(PlaybackCleared cleared) {
    playedMs = Convert.ms(cleared.getPlayed());
    player.queue.onCleared(playedMs);
    if (!clears.isEmpty()) {
      clears.poll().accept(cleared);
    }
    kick();
  }

  private void update(dev.callweave.v1.Call call, boolean force) {
    if (force || call.getLastEventSequence() >= lastSequence) {
      set(call);
    }
  }

  private void set(dev.callweave.v1.Call next) {
    boolean pending = state() == CallState.PENDING;
    info.set(next);
    if (pending && state() != CallState.PENDING) {
      answered();
    }
  }

  private PlaybackStatus statusNow() {
    return new PlaybackStatus(
        Convert.time(player.queue.queuedMs()),
        Convert.time(player.queue.aheadMs()),
        Convert.time(playedMs));
  }

  private int rate() {
    int rate = info.current().getSampleRateHertz();
    return rate == 0 ? format.sampleRateHertz() : rate;
  }

  private void kick() {
    if (attached) {
      stream.outbox.kick();
    }
  }

  @Override
  CallFuture<EscalationResult> run(VerbOptions<?> options, Consumer<Command.Builder> verb) {
    return runner.start(options, verb);
  }

  /** Why it is over; null before. */
  CallEnd end() {
    return end;
  }

  /** Without a stream it is dropped: what matters is sent again after the reattachment. */
  void send(AgentItem item) {
    if (attached) {
      stream.send(item);
    }
  }

  private final class PlayerPort implements Player.Port {
    @Override
    public String callId() {
      return id();
    }

    @Override
    public void kick() {
      CallImpl.this.kick();
    }

    @Override
    public boolean interruptCommand(String requestId) {
      return commands.onInterrupt(requestId);
    }

    @Override
    public void onLoop(Runnable task) {
      loop.execute(task);
    }
  }
}
