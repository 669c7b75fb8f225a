package dev.callweave;

import dev.callweave.v1.AnswerCallRequest;
import dev.callweave.v1.CallContext;
import dev.callweave.v1.CancelCommandRequest;
import dev.callweave.v1.Command;
import dev.callweave.v1.ConfirmEscalationRequest;
import dev.callweave.v1.ReleaseCallRequest;
import dev.callweave.v1.SetAgentModeRequest;
import java.util.List;
import java.util.function.Consumer;

/** The verbs of a call as commands on its stream, and its context by requests. */
abstract class CallVerbs implements Call {
  private final String id;
  private final Contexts contexts;

  CallVerbs(String id, Contexts contexts) {
    this.id = id;
    this.contexts = contexts;
  }

  /** Gives a command; completes when it is finished. */
  abstract CallFuture<EscalationResult> run(VerbOptions<?> options, Consumer<Command.Builder> verb);

  @Override
  public String id() {
    return id;
  }

  @Override
  public String caller() {
    return info().getCaller();
  }

  @Override
  public String callee() {
    return info().getCallee();
  }

  @Override
  public String locale() {
    return info().getLocale();
  }

  @Override
  public CallFuture<Void> answer(CommandOptions options) {
    return command(
        options, command -> command.setAnswer(AnswerCallRequest.newBuilder().setCallId(id)));
  }

  @Override
  public CallFuture<Void> connect(ConnectOptions options) {
    return command(options, command -> options.into(command, id));
  }

  @Override
  public CallFuture<Void> setMode(AgentMode mode, CommandOptions options) {
    return command(
        options,
        command ->
            command.setSetAgentMode(
                SetAgentModeRequest.newBuilder()
                    .setCallId(id)
                    .setMode(Convert.wire(dev.callweave.v1.AgentMode.class, "AGENT_MODE_", mode))));
  }

  @Override
  public CallFuture<EscalationResult> escalate(EscalateOptions options) {
    return run(options, command -> options.into(command, id))
        .map(
            result ->
                result == null ? new EscalationResult(EscalationOutcome.UNKNOWN, null) : result);
  }

  @Override
  public CallFuture<Void> confirmEscalation(boolean accepted) {
    return command(
        CommandOptions.create(),
        command ->
            command.setConfirmEscalation(
                ConfirmEscalationRequest.newBuilder().setCallId(id).setAccepted(accepted)));
  }

  @Override
  public CallFuture<Void> transfer(TransferOptions options) {
    return command(options, command -> options.into(command, id));
  }

  @Override
  public CallFuture<Void> release(CommandOptions options) {
    return command(
        options, command -> command.setRelease(ReleaseCallRequest.newBuilder().setCallId(id)));
  }

  @Override
  public CallFuture<Void> close(CloseOptions options) {
    return command(options, command -> options.into(command, id));
  }

  @Override
  public CallFuture<Void> disconnect(DisconnectOptions options) {
    return command(options, command -> options.into(command, id));
  }

  @Override
  public CallFuture<Void> cancel(String requestId) {
    return command(
        CommandOptions.create(),
        command ->
            command.setCancel(
                CancelCommandRequest.newBuilder().setCallId(id).setRequestId(requestId)));
  }

  @Override
  public CallFuture<Appended> appendTurns(List<Turn> turns) {
    return contexts.appendTurns(id, turns);
  }

  @Override
  public CallFuture<Written> saveContext(CallContext fields) {
    return contexts.save(fields.toBuilder().setCallId(id).build());
  }

  @Override
  public CallFuture<Written> updateContext(CallContext fields, List<String> names, long revision) {
    return contexts.update(fields.toBuilder().setCallId(id).build(), names, revision, "");
  }

  @Override
  public CallFuture<CallContext> getContext() {
    return contexts.get(id);
  }

  private CallFuture<Void> command(VerbOptions<?> options, Consumer<Command.Builder> verb) {
    return run(options, verb).map(result -> null);
  }
}
