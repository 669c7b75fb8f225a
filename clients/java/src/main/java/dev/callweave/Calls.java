package dev.callweave;

import dev.callweave.v1.AnswerCallRequest;
import dev.callweave.v1.AnswerCallResponse;
import dev.callweave.v1.CallFilter;
import dev.callweave.v1.CallServiceGrpc;
import dev.callweave.v1.CancelCommandRequest;
import dev.callweave.v1.CancelCommandResponse;
import dev.callweave.v1.ConfirmEscalationRequest;
import dev.callweave.v1.ConfirmEscalationResponse;
import dev.callweave.v1.GetCallRequest;
import dev.callweave.v1.GetCallResponse;
import dev.callweave.v1.ListCallsRequest;
import dev.callweave.v1.ReleaseCallRequest;
import dev.callweave.v1.ReleaseCallResponse;
import dev.callweave.v1.SendNoteRequest;
import dev.callweave.v1.SendNoteResponse;
import dev.callweave.v1.SetAgentModeRequest;
import dev.callweave.v1.SetAgentModeResponse;
import io.grpc.MethodDescriptor;
import java.util.function.Function;

/** Lists, watches, hears and commands calls. All that fails completes with CallweaveException. */
public final class Calls {
  private final RotatingConnection connections;

  Calls(RotatingConnection connections) {
    this.connections = connections;
  }

  /**
   * One call. Ended calls are kept for 10 minutes.
   *
   * @param callId the call
   * @return {@code CALL_NOT_FOUND} when there is none
   */
  public CallFuture<dev.callweave.v1.Call> get(String callId) {
    GetCallRequest request = GetCallRequest.newBuilder().setCallId(callId).build();
    return connections
        .unary(CallServiceGrpc.getGetCallMethod(), request, Connection.Request.PLAIN)
        .map(GetCallResponse::getCall);
  }

  /**
   * All calls, the newest 100 of them.
   *
   * @return a page, and the cursor from which {@link #watch} misses nothing after it
   */
  public CallFuture<CallPage> list() {
    return list(ListCallsRequest.getDefaultInstance());
  }

  /**
   * Calls, newest first.
   *
   * @param request which, and which page
   * @return a page, and the cursor from which {@link #watch} misses nothing after it
   */
  public CallFuture<CallPage> list(ListCallsRequest request) {
    return connections
        .unary(CallServiceGrpc.getListCallsMethod(), request, Connection.Request.PLAIN)
        .map(
            page ->
                new CallPage(
                    page.getCallsList(),
                    page.getNextPageToken(),
                    page.getCursor(),
                    page.getUnreachableGatewaysList()));
  }

  /**
   * Events of all calls, see {@link #watch(String, CallFilter)}.
   *
   * @param cursor events after it; empty: from now on
   * @return to be read and closed
   */
  public Watch<WatchStep> watch(String cursor) {
    return watch(cursor, CallFilter.getDefaultInstance());
  }

  /**
   * Events of calls, history first, then live, without gap or repeat. Resumes by itself after a
   * broken stream, from the last cursor, for ever. {@code CURSOR_EXPIRED}: list again and go on
   * from there. While nothing was read yet and no cursor was given, a broken stream loses what
   * happened meanwhile.
   *
   * @param cursor events after it; empty: from now on
   * @param filter which calls
   * @return to be read and closed
   */
  public Watch<WatchStep> watch(String cursor, CallFilter filter) {
    return new CallWatch(connections, cursor, filter);
  }

  /**
   * Hears a call: what the agent leg hears, s16le at the rate of the call.
   *
   * @param callId the call
   * @return to be read and closed
   */
  public Listening listen(String callId) {
    return listen(callId, Listening.Source.MIXED, AudioFormat.s16le(0));
  }

  /**
   * Hears a call until it is over or closed. A slow reader loses the oldest audio, told as a gap.
   *
   * @param callId the call
   * @param source what the agent leg hears, or what the agent says
   * @param format of the audio
   * @return to be read and closed
   */
  public Listening listen(String callId, Listening.Source source, AudioFormat format) {
    return new Listening(connections.get(), callId, source, format);
  }

  /**
   * Answers the call. In PENDING.
   *
   * @param callId the call
   * @param options with an id
   * @return what became of it
   */
  public CallFuture<VerbResult> answer(String callId, CommandOptions options) {
    String id = options.requestId();
    return verb(
        CallServiceGrpc.getAnswerCallMethod(),
        AnswerCallRequest.newBuilder().setCallId(callId).setRequestId(id).build(),
        options,
        id,
        AnswerCallResponse::getCall);
  }

  /**
   * Rings the original callee; on pick-up caller, callee and agent are in one conference.
   *
   * @param callId the call
   * @param options how
   * @return what became of it
   */
  public CallFuture<VerbResult> connect(String callId, ConnectOptions options) {
    String id = options.requestId();
    return ask(CallServiceGrpc.getConnectCallMethod(), options.request(callId, id), options)
        .map(answer -> new VerbResult(answer.getCall(), id, answer.hasPending(), null));
  }

  /**
   * Says who hears the agent. In CONNECTED.
   *
   * @param callId the call
   * @param mode who
   * @param options with an id
   * @return what became of it
   */
  public CallFuture<VerbResult> setMode(String callId, AgentMode mode, CommandOptions options) {
    String id = options.requestId();
    return verb(
        CallServiceGrpc.getSetAgentModeMethod(),
        SetAgentModeRequest.newBuilder()
            .setCallId(callId)
            .setRequestId(id)
            .setMode(Convert.wire(dev.callweave.v1.AgentMode.class, "AGENT_MODE_", mode))
            .build(),
        options,
        id,
        SetAgentModeResponse::getCall);
  }

  /**
   * Saves the context, lets the announcement end, connects a human and leaves. In ANSWERED.
   *
   * @param callId the call
   * @param options why and how
   * @return what became of it
   */
  public CallFuture<VerbResult> escalate(String callId, EscalateOptions options) {
    String id = options.requestId();
    return ask(CallServiceGrpc.getEscalateCallMethod(), options.request(callId, id), options)
        .map(
            answer ->
                new VerbResult(
                    answer.getCall(),
                    id,
                    answer.hasPending(),
                    Convert.escalation(answer.getResult())));
  }

  /**
   * Says whether the human accepted an escalation that asked for confirmation.
   *
   * @param callId the call
   * @param accepted whether
   * @param options with an id
   * @return what became of it
   */
  public CallFuture<VerbResult> confirmEscalation(
      String callId, boolean accepted, CommandOptions options) {
    String id = options.requestId();
    return verb(
        CallServiceGrpc.getConfirmEscalationMethod(),
        ConfirmEscalationRequest.newBuilder()
            .setCallId(callId)
            .setRequestId(id)
            .setAccepted(accepted)
            .build(),
        options,
        id,
        ConfirmEscalationResponse::getCall);
  }

  /**
   * Moves the seat to another agent; the holder keeps it until the other has accepted.
   *
   * @param callId the call
   * @param options to whom
   * @return what became of it
   */
  public CallFuture<VerbResult> transfer(String callId, TransferOptions options) {
    String id = options.requestId();
    return ask(CallServiceGrpc.getTransferCallMethod(), options.request(callId, id), options)
        .map(answer -> new VerbResult(answer.getCall(), id, answer.hasPending(), null));
  }

  /**
   * Takes the seat from its holder; the call is offered again.
   *
   * @param callId the call
   * @param options with an id
   * @return what became of it
   */
  public CallFuture<VerbResult> release(String callId, CommandOptions options) {
    String id = options.requestId();
    return verb(
        CallServiceGrpc.getReleaseCallMethod(),
        ReleaseCallRequest.newBuilder().setCallId(callId).setRequestId(id).build(),
        options,
        id,
        ReleaseCallResponse::getCall);
  }

  /**
   * The agent leaves. In ANSWERED that ends the call and needs {@link CloseOptions#endCall}.
   *
   * @param callId the call
   * @param options how
   * @return what became of it
   */
  public CallFuture<VerbResult> close(String callId, CloseOptions options) {
    String id = options.requestId();
    return ask(CallServiceGrpc.getCloseCallMethod(), options.request(callId, id), options)
        .map(answer -> new VerbResult(answer.getCall(), id, answer.hasPending(), null));
  }

  /**
   * Ends the call for everyone.
   *
   * @param callId the call
   * @param options when
   * @return what became of it
   */
  public CallFuture<VerbResult> disconnect(String callId, DisconnectOptions options) {
    String id = options.requestId();
    return ask(CallServiceGrpc.getDisconnectCallMethod(), options.request(callId, id), options)
        .map(answer -> new VerbResult(answer.getCall(), id, answer.hasPending(), null));
  }

  /**
   * Cancels a command that has had no effect yet.
   *
   * @param callId the call
   * @param requestId the command; empty: the one that waits
   * @return {@code COMMAND_NOT_FOUND} when there is none
   */
  public CallFuture<VerbResult> cancel(String callId, String requestId) {
    return verb(
        CallServiceGrpc.getCancelCommandMethod(),
        CancelCommandRequest.newBuilder().setCallId(callId).setRequestId(requestId).build(),
        CommandOptions.create(),
        requestId,
        CancelCommandResponse::getCall);
  }

  /**
   * Sends a text to the seat holder, heard by nobody.
   *
   * @param callId the call
   * @param text 1 to 2,000 characters
   * @return false: nobody holds the seat
   */
  public CallFuture<Boolean> sendNote(String callId, String text) {
    CommandOptions options = CommandOptions.create();
    SendNoteRequest request =
        SendNoteRequest.newBuilder()
            .setCallId(callId)
            .setRequestId(options.requestId())
            .setText(text)
            .build();
    return ask(CallServiceGrpc.getSendNoteMethod(), request, options)
        .map(SendNoteResponse::getDelivered);
  }

  private <Q, A> CallFuture<VerbResult> verb(
      MethodDescriptor<Q, A> method,
      Q request,
      CommandOptions options,
      String requestId,
      Function<A, dev.callweave.v1.Call> call) {
    return ask(method, request, options)
        .map(answer -> new VerbResult(call.apply(answer), requestId, false, null));
  }

  private <Q, A> CallFuture<A> ask(
      MethodDescriptor<Q, A> method, Q request, VerbOptions<?> options) {
    return connections.unary(
        method, request, new Connection.Request(options.waiting().toMillis(), false));
  }
}
