package dev.callweave;

import com.google.protobuf.ByteString;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The audio that the agent says in one call: whole or as it is made, marks and commands in order.
 */
final class Player {
  /** What the player needs of its call. */
  interface Port {
    String callId();

    /** There may be something to send. */
    void kick();

    /** A command met by {@code clear()} while it waited: true when it goes ahead. */
    boolean interruptCommand(String requestId);

    /** Runs on the thread of the call. */
    void onLoop(Runnable task);
  }

  /** What was dropped here, and the commands that go ahead, to be sent after the ClearPlayback. */
  record Interrupted(double droppedMs, List<String> proceed) {}

  /** Something that has to wait until a source was played to its end. */
  private interface Deferred {
    void run();

    /** An interrupt met it. The command that goes ahead, if it is one that does; else null. */
    String clear();
  }

  private static final class WaitingMark {
    final String name;
    final CallFuture<MarkEnd> future;
    boolean sent;

    WaitingMark(String name, CallFuture<MarkEnd> future) {
      this.name = name;
      this.future = future;
    }
  }

  final PlaybackQueue queue;
  private final Port port;
  private final double prefetchMs;
  private final double maxQueuedMs;
  private final int maxMarks;
  private final Map<String, WaitingMark> marks = new LinkedHashMap<>();
  private final ArrayDeque<Deferred> deferred = new ArrayDeque<>();
  private final Set<CallFuture<PlayEnd>> plays = new HashSet<>();
  private List<Runnable> roomWaiters = new ArrayList<>();
  private int nextId;
  private int generation;
  private boolean streaming;
  private double deferredMs;
  private double aheadWhenLostMs;
  private CallweaveException over;

  Player(PlaybackQueue queue, Port port, double maxQueuedMs, double prefetchMs, int maxMarks) {
    this.queue = queue;
    this.port = port;
    this.maxQueuedMs = maxQueuedMs;
    this.prefetchMs = prefetchMs;
    this.maxMarks = maxMarks;
  }

  void play(ByteString pcm, CallFuture<PlayEnd> future) {
    double ms = queue.msOf(pcm.size());
    if (over != null) {
      future.fail(over);
    } else if (queue.queuedMs() + deferredMs + ms > maxQueuedMs) {
      future.fail(queue.full(port.callId()));
    } else if (pcm.isEmpty()) {
      future.settle(PlayEnd.SENT);
    } else {
      plays.add(future);
      inOrder(new WaitingAudio(pcm, ms, future, generation));
    }
  }

  /** Plays what the iterator gives, which is asked on a thread of its own. */
  void play(Iterator<byte[]> source, CallFuture<PlayEnd> future) {
    if (over != null) {
      future.fail(over);
      return;
    }
    plays.add(future);
    inOrder(
        new Deferred() {
          @Override
          public void run() {
            streaming = true;
            new PlayedSource(source, new SourcePort(future, generation)).pull();
          }

          @Override
          public String clear() {
            settle(future, PlayEnd.CLEARED);
            return null;
          }
        });
  }

  void mark(String name, CallFuture<MarkEnd> future) {
    if (over != null) {
      future.fail(over);
      return;
    }
    String id = "m" + nextId++;
    String label = name == null ? "~" + id : name;
    if (label.isEmpty() || label.length() > 100) {
      future.fail(Errors.invalidField("mark", "1 to 100 characters", label));
      return;
    }
    if (marks.size() >= maxMarks) {
      String max = maxMarks + " marks";
      future.fail(Errors.queueFull("the list of waiting marks", max, port.callId()));
      return;
    }
    marks.put(id, new WaitingMark(label, future));
    marker(id);
  }

  /** Puts a command behind the audio until now. */
  void command(String requestId) {
    marker("c" + requestId);
  }

  private void marker(String id) {
    inOrder(
        new Deferred() {
          @Override
          public void run() {
            queue.pushMarker(id);
            port.kick();
          }

          @Override
          public String clear() {
            return interrupted(id);
          }
        });
  }

  /** Takes out a command that was given up. */
  void removeCommand(String requestId) {
    queue.removeMarker("c" + requestId);
  }

  /** The name of the mark that is being sent; null for a command and when nobody waits for it. */
  String sendMark(String id) {
    WaitingMark mark = marks.get(id);
    if (mark == null) {
      return null;
    }
    mark.sent = true;
    return mark.name;
  }

  /** Something was sent: there may be room. */
  void onSent() {
    if (!roomWaiters.isEmpty() && queue.queuedMs() <= prefetchMs) {
      wakeWaiters();
    }
  }

  void onMarkReached(String name, MarkEnd end) {
    for (Map.Entry<String, WaitingMark> entry : marks.entrySet()) {
      if (!entry.getValue().name.equals(name) || !entry.getValue().sent) {
        continue;
      }
      String id = entry.getKey();
      if (end == MarkEnd.PLAYED) {
        queue.onMarkPlayed(id);
      }
      endMark(id, end);
      port.kick();
      return;
    }
  }

  /** The gateway refused a mark; the oldest that it has. */
  void onMarkRefused() {
    marks.entrySet().stream()
        .filter(entry -> entry.getValue().sent)
        .map(Map.Entry::getKey)
        .findFirst()
        .ifPresent(id -> endMark(id, MarkEnd.CLEARED));
  }

  Interrupted clear() {
    generation++;
    PlaybackQueue.Dropped dropped = queue.clear();
    double droppedMs = dropped.ms() + deferredMs;
    List<String> proceed = new ArrayList<>();
    for (String id : dropped.markers()) {
      add(proceed, interrupted(id));
    }
    List<Deferred> waiting = List.copyOf(deferred);
    deferred.clear();
    deferredMs = 0;
    streaming = false;
    for (Deferred entry : waiting) {
      add(proceed, entry.clear());
    }
    for (CallFuture<PlayEnd> future : List.copyOf(plays)) {
      settle(future, PlayEnd.CLEARED);
    }
    wakeWaiters();
    return new Interrupted(droppedMs, proceed);
  }

  /** The stream is lost: from here on nobody hears what is still ahead, if the gateway is dead. */
  void onDetached() {
    aheadWhenLostMs = queue.aheadMs();
  }

  /** The call is on another stream. Answers the commands to be sent again in their place. */
  Set<String> onReattached(PlaybackQueue.Position position, boolean takenOver) {
    PlaybackQueue.Resent resent =
        takenOver ? queue.onTakenOver(position, aheadWhenLostMs) : queue.onReattached(position);
    for (String id : resent.passed()) {
      endMark(id, MarkEnd.PLAYED);
    }
    Set<String> commands = new HashSet<>();
    for (String id : resent.again()) {
      WaitingMark mark = marks.get(id);
      if (mark != null) {
        mark.sent = false;
      } else if (id.startsWith("c")) {
        commands.add(id.substring(1));
      }
    }
    // Sent and dropped before the stream was lost: their answer was lost with it.
    for (String id : List.copyOf(marks.keySet())) {
      if (marks.get(id).sent && !queue.hasSent(id)) {
        endMark(id, MarkEnd.CLEARED);
      }
    }
    return commands;
  }

  /** The agent does not have the call any more. */
  void end(EndCause cause) {
    over = Errors.callOver(port.callId(), cause);
    generation++;
    for (CallFuture<PlayEnd> future : plays) {
      future.fail(over);
    }
    plays.clear();
    for (String id : List.copyOf(marks.keySet())) {
      endMark(id, MarkEnd.CLEARED);
    }
    queue.clear();
    deferred.clear();
    wakeWaiters();
  }

  private String interrupted(String id) {
    if (!id.startsWith("c")) {
      endMark(id, MarkEnd.CLEARED);
      return null;
    }
    String requestId = id.substring(1);
    return port.interruptCommand(requestId) ? requestId : null;
  }

  private void inOrder(Deferred entry) {
    if (streaming) {
      if (entry instanceof WaitingAudio audio) {
        deferredMs += audio.ms;
      }
      deferred.add(entry);
    } else {
      entry.run();
    }
  }

  private void nextDeferred() {
    streaming = false;
    while (!streaming && !deferred.isEmpty()) {
      Deferred entry = deferred.poll();
      if (entry instanceof WaitingAudio audio) {
        deferredMs = Math.max(0, deferredMs - audio.ms);
      }
      entry.run();
    }
  }

  private void endMark(String id, MarkEnd end) {
    WaitingMark mark = marks.remove(id);
    if (mark != null) {
      mark.future.settle(end);
    }
  }

  private void settle(CallFuture<PlayEnd> future, PlayEnd end) {
    if (plays.remove(future)) {
      future.settle(end);
    }
  }

  private void wakeWaiters() {
    List<Runnable> waiters = roomWaiters;
    roomWaiters = new ArrayList<>();
    waiters.forEach(Runnable::run);
  }

  private static void add(List<String> list, String requestId) {
    if (requestId != null) {
      list.add(requestId);
    }
  }

  private final class WaitingAudio implements Deferred {
    private final ByteString pcm;
    private final double ms;
    private final CallFuture<PlayEnd> future;
    private final int begun;

    WaitingAudio(ByteString pcm, double ms, CallFuture<PlayEnd> future, int begun) {
      this.pcm = pcm;
      this.ms = ms;
      this.future = future;
      this.begun = begun;
    }

    @Override
    public void run() {
      try {
        queue.pushAudio(
            pcm, () -> settle(future, begun == generation ? PlayEnd.SENT : PlayEnd.CLEARED));
      } catch (CallweaveException e) {
        plays.remove(future);
        future.fail(e);
      }
      port.kick();
    }

    @Override
    public String clear() {
      settle(future, PlayEnd.CLEARED);
      return null;
    }
  }

  /** What a source that is being played tells. */
  private final class SourcePort implements PlayedSource.Port {
    private final CallFuture<PlayEnd> future;
    private final int begun;

    /** How many of its chunks wait in the queue. */
    private int waiting;

    private boolean ended;

    SourcePort(CallFuture<PlayEnd> future, int begun) {
      this.future = future;
      this.begun = begun;
    }

    @Override
    public void onLoop(Runnable task) {
      port.onLoop(task);
    }

    @Override
    public boolean isDropped() {
      return begun != generation;
    }

    /** A little is kept ready here, so that the stream never waits for the source. */
    @Override
    public boolean take(ByteString pcm, Runnable whenRoom) {
      double ms = queue.msOf(pcm.size());
      if (queue.queuedMs() == 0 && ms > maxQueuedMs) {
        throw queue.full(port.callId());
      }
      if (queue.queuedMs() > prefetchMs || ms > queue.roomMs()) {
        roomWaiters.add(whenRoom);
        return false;
      }
      waiting++;
      queue.pushAudio(pcm, this::sent);
      port.kick();
      return true;
    }

    private void sent() {
      waiting--;
      finish();
    }

    @Override
    public void ended() {
      ended = true;
      finish();
      nextDeferred();
    }

    @Override
    public void failed(Throwable thrown) {
      if (plays.remove(future)) {
        future.fail(thrown);
      }
      if (!isDropped()) {
        nextDeferred();
      }
    }

    private void finish() {
      if (ended && waiting == 0 && !isDropped()) {
        settle(future, PlayEnd.SENT);
      }
    }
  }
}
