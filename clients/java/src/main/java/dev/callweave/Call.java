package dev.callweave;

import dev.callweave.v1.CallContext;
import java.util.List;
import java.util.Optional;

/**
 * A call whose seat this agent has. Safe for all threads. All that fails completes with {@link
 * CallweaveException}, after the end of the call with {@link Reason#CALL_OVER}.
 */
public interface Call {
  /**
   * The call, unique within the tenant.
   *
   * @return the provider's id of it
   */
  String id();

  /**
   * All that is known of the call now.
   *
   * @return a snapshot
   */
  dev.callweave.v1.Call info();

  /**
   * The caller's number.
   *
   * @return in E.164, empty when withheld
   */
  String caller();

  /**
   * The number that was called.
   *
   * @return in E.164
   */
  String callee();

  /**
   * The language, from the route.
   *
   * @return a BCP 47 tag
   */
  String locale();

  /**
   * Counts the offers of the call; above 1 somebody else may have talked before.
   *
   * @return from 1
   */
  int attempt();

  /**
   * Of the seat; grows with each new holder.
   *
   * @return from 1
   */
  long epoch();

  /**
   * Where the call stands now.
   *
   * @return never null
   */
  CallState state();

  /**
   * Who hears the agent.
   *
   * @return set while CONNECTED
   */
  Optional<AgentMode> mode();

  /**
   * The agreed format of audio both ways.
   *
   * @return with its rate
   */
  AudioFormat audioFormat();

  /**
   * The context as it came with the offer, its newest turns.
   *
   * @return empty for a new call
   */
  Optional<CallContext> context();

  /**
   * Why the call was escalated to this agent.
   *
   * @return empty when it came in another way
   */
  Optional<EscalationReason> escalationReason();

  /**
   * Completes when the agent does not have the call any more. Never fails.
   *
   * @return how it ended
   */
  CallFuture<CallEnd> ended();

  /**
   * Whether the agent does not have it any more.
   *
   * @return true after the end
   */
  boolean isOver();

  /**
   * Where the audio of the agent is.
   *
   * @return a snapshot
   */
  PlaybackStatus playback();

  /**
   * The caller's audio, from the acceptance on; ends with the call. What nobody reads is kept up to
   * {@link AgentBuilder#maxAudioQueued}, then the oldest is dropped and told as a gap.
   *
   * @return always the same
   */
  AudioStream audio();

  /**
   * Plays audio after what was played before. Completes when all of it is with the gateway, about
   * {@link AgentBuilder#sendAhead} before its end is heard; {@link #drained()} tells when it was
   * heard.
   *
   * @param pcm in the agreed format; copied. A half sample at the end is kept for what follows
   * @return {@code QUEUE_FULL}, taking nothing, when more than {@link
   *     AgentBuilder#maxPlaybackQueued} would wait
   */
  CallFuture<PlayEnd> play(byte[] pcm);

  /**
   * Plays audio as it is made, read only as fast as it is played, on a thread that may block. An
   * iterator that is {@link AutoCloseable} is closed at the end.
   *
   * @param chunks in the agreed format
   * @return completes when the end is with the gateway; fails with what the iterator throws
   */
  CallFuture<PlayEnd> play(Iterable<byte[]> chunks);

  /**
   * Completes when all audio before it was heard, or dropped.
   *
   * @param name 1 to 100 characters
   * @return {@code QUEUE_FULL} when {@link AgentBuilder#maxMarks} wait
   */
  CallFuture<MarkEnd> mark(String name);

  /**
   * Completes when all audio until now was heard, or dropped. The same as a mark without a name.
   *
   * @return {@code QUEUE_FULL} when {@link AgentBuilder#maxMarks} wait
   */
  CallFuture<MarkEnd> drained();

  /**
   * Interrupt: drops all audio until now, here, in the gateway and at the provider.
   *
   * @return what was not heard
   */
  CallFuture<Cleared> clear();

  /**
   * Answers the call. Not needed with {@link AgentBuilder#answerOnAccept}.
   *
   * @return when done
   */
  default CallFuture<Void> answer() {
    return answer(CommandOptions.create());
  }

  /**
   * Answers the call.
   *
   * @param options with an id
   * @return when done
   */
  CallFuture<Void> answer(CommandOptions options);

  /**
   * Rings the original callee for 60 s.
   *
   * @return when they picked up; {@code CALLEE_UNANSWERED}: the call is as it was
   */
  default CallFuture<Void> connect() {
    return connect(ConnectOptions.create());
  }

  /**
   * Rings the original callee.
   *
   * @param options how
   * @return when they picked up; {@code CALLEE_UNANSWERED}: the call is as it was
   */
  CallFuture<Void> connect(ConnectOptions options);

  /**
   * Says who hears the agent. In CONNECTED.
   *
   * @param mode who
   * @return when done
   */
  default CallFuture<Void> setMode(AgentMode mode) {
    return setMode(mode, CommandOptions.create());
  }

  /**
   * Says who hears the agent. In CONNECTED.
   *
   * @param mode who
   * @param options with an id
   * @return when done
   */
  CallFuture<Void> setMode(AgentMode mode, CommandOptions options);

  /**
   * Saves the context, lets the announcement end, connects a human and leaves.
   *
   * @param options why and how
   * @return how it ended
   */
  CallFuture<EscalationResult> escalate(EscalateOptions options);

  /**
   * Says whether the human accepted, for an escalation that asked for confirmation.
   *
   * @param accepted whether
   * @return when done
   */
  CallFuture<Void> confirmEscalation(boolean accepted);

  /**
   * Moves the seat to another agent.
   *
   * @param options to whom
   * @return when that one has it; {@code TRANSFER_UNANSWERED}: you keep it
   */
  CallFuture<Void> transfer(TransferOptions options);

  /**
   * Gives the seat back; the call is offered again.
   *
   * @return when done
   */
  default CallFuture<Void> release() {
    return release(CommandOptions.create());
  }

  /**
   * Gives the seat back; the call is offered again.
   *
   * @param options with an id
   * @return when done
   */
  CallFuture<Void> release(CommandOptions options);

  /**
   * The agent leaves a CONNECTED call; the parties talk on.
   *
   * @return when done
   */
  default CallFuture<Void> close() {
    return close(CloseOptions.create());
  }

  /**
   * The agent leaves. In ANSWERED that ends the call and needs {@link CloseOptions#endCall}.
   *
   * @param options how
   * @return when done
   */
  CallFuture<Void> close(CloseOptions options);

  /**
   * Ends the call for everyone.
   *
   * @return when done
   */
  default CallFuture<Void> disconnect() {
    return disconnect(DisconnectOptions.create());
  }

  /**
   * Ends the call for everyone.
   *
   * @param options when
   * @return when done
   */
  CallFuture<Void> disconnect(DisconnectOptions options);

  /**
   * Cancels a command that has had no effect yet.
   *
   * @param requestId its id; empty: the one that waits
   * @return {@code COMMAND_NOT_FOUND} when there is none
   */
  CallFuture<Void> cancel(String requestId);

  /**
   * Appends turns to the context.
   *
   * @param turns 1 to 100
   * @return how many there are, and where they are safe
   */
  CallFuture<Appended> appendTurns(List<Turn> turns);

  /**
   * Writes the context: fields that are set replace what is there.
   *
   * @param fields its call id is not needed
   * @return as it is now
   */
  CallFuture<Written> saveContext(CallContext fields);

  /**
   * Writes exactly the fields of the context that are named.
   *
   * @param fields its call id is not needed
   * @param names as in the contract: {@code summary}, {@code data}; those not set are cleared
   * @param revision the one that was read; {@code REVISION_CONFLICT} if it changed. 0 writes
   *     without looking
   * @return as it is now
   */
  CallFuture<Written> updateContext(CallContext fields, List<String> names, long revision);

  /**
   * Reads the context with all turns.
   *
   * @return as it is now
   */
  CallFuture<CallContext> getContext();

  /**
   * Listens, on a thread that may block, one thing after the other. A listener that throws is told
   * to {@link AgentBuilder#onError}.
   *
   * @param listener told what happens from now on
   * @return stops it
   */
  Runnable addListener(CallListener listener);
}
