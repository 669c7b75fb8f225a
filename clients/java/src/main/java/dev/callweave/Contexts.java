package dev.callweave;

import com.google.protobuf.FieldMask;
import dev.callweave.v1.AppendTurnsRequest;
import dev.callweave.v1.CallContext;
import dev.callweave.v1.ContextServiceGrpc;
import dev.callweave.v1.DeleteContextsRequest;
import dev.callweave.v1.DeleteContextsResponse;
import dev.callweave.v1.FindContextsRequest;
import dev.callweave.v1.FindContextsResponse;
import dev.callweave.v1.GetContextRequest;
import dev.callweave.v1.GetContextResponse;
import dev.callweave.v1.ListContextsRequest;
import dev.callweave.v1.SaveContextRequest;
import dev.callweave.v1.UpdateContextRequest;
import dev.callweave.v1.WatchContextsRequest;
import dev.callweave.v1.WatchContextsResponse;
import java.time.Duration;
import java.util.List;

/** Reads and writes the contexts of calls. All that fails completes with CallweaveException. */
public final class Contexts {
  private final RotatingConnection connections;

  Contexts(RotatingConnection connections) {
    this.connections = connections;
  }

  /**
   * Writes a context: fields that are set replace what is there, turns are appended by id, data is
   * merged.
   *
   * @param context with its call id
   * @return as it is now
   */
  public CallFuture<Written> save(CallContext context) {
    return connections
        .unary(
            ContextServiceGrpc.getSaveContextMethod(),
            SaveContextRequest.newBuilder().setContext(context).build(),
            Connection.Request.PATIENT)
        .map(
            answer -> new Written(answer.getContext(), Convert.durability(answer.getDurability())));
  }

  /**
   * Writes exactly the fields that are named.
   *
   * @param context with its call id
   * @param fields names as in the contract: {@code summary}, {@code data}; those not set in the
   *     context are cleared
   * @param revision the one that was read; {@code REVISION_CONFLICT} if it changed. 0 writes
   *     without looking
   * @param note added to the notes, at most 2,000 characters; empty: none
   * @return as it is now
   */
  public CallFuture<Written> update(
      CallContext context, List<String> fields, long revision, String note) {
    return connections
        .unary(
            ContextServiceGrpc.getUpdateContextMethod(),
            UpdateContextRequest.newBuilder()
                .setContext(context)
                .setUpdateMask(FieldMask.newBuilder().addAllPaths(fields))
                .setRevision(revision)
                .setAddNote(note)
                .build(),
            Connection.Request.PLAIN)
        .map(
            answer -> new Written(answer.getContext(), Convert.durability(answer.getDurability())));
  }

  /**
   * Appends turns. One whose id is there already is left, except that what was heard is added.
   *
   * @param callId the call
   * @param turns 1 to 100
   * @return how many there are, and where they are safe
   */
  public CallFuture<Appended> appendTurns(String callId, List<Turn> turns) {
    return connections
        .unary(
            ContextServiceGrpc.getAppendTurnsMethod(),
            AppendTurnsRequest.newBuilder()
                .setCallId(callId)
                .addAllTurns(turns.stream().map(Turn::wire).toList())
                .build(),
            Connection.Request.PATIENT)
        .map(
            answer ->
                new Appended(answer.getTurnCount(), Convert.durability(answer.getDurability())));
  }

  /**
   * One context with all turns.
   *
   * @param callId the call
   * @return {@code CONTEXT_NOT_FOUND} when there is none
   */
  public CallFuture<CallContext> get(String callId) {
    return get(GetContextRequest.newBuilder().setCallId(callId).build());
  }

  /**
   * One context with all turns.
   *
   * @param sessionId the provider's id of the session
   * @return {@code CONTEXT_NOT_FOUND} when there is none
   */
  public CallFuture<CallContext> getBySession(String sessionId) {
    return get(GetContextRequest.newBuilder().setSessionId(sessionId).build());
  }

  private CallFuture<CallContext> get(GetContextRequest request) {
    return connections
        .unary(ContextServiceGrpc.getGetContextMethod(), request, Connection.Request.PATIENT)
        .map(GetContextResponse::getContext);
  }

  /**
   * The contexts of a caller, newest first: a ringing phone shows a number, not a call id.
   *
   * @param caller in E.164
   * @param within not older than this
   * @param pageSize 1 to 100; 0 means 10
   * @return empty when there are none
   */
  public CallFuture<List<CallContext>> findByCaller(String caller, Duration within, int pageSize) {
    return find(FindContextsRequest.newBuilder().setCaller(caller), within, pageSize);
  }

  /**
   * The contexts of calls to a number, newest first.
   *
   * @param callee in E.164
   * @param within not older than this
   * @param pageSize 1 to 100; 0 means 10
   * @return empty when there are none
   */
  public CallFuture<List<CallContext>> findByCallee(String callee, Duration within, int pageSize) {
    return find(FindContextsRequest.newBuilder().setCallee(callee), within, pageSize);
  }

  private CallFuture<List<CallContext>> find(
      FindContextsRequest.Builder request, Duration within, int pageSize) {
    return connections
        .unary(
            ContextServiceGrpc.getFindContextsMethod(),
            request.setWithin(Convert.duration(within)).setPageSize(pageSize).build(),
            Connection.Request.PLAIN)
        .map(FindContextsResponse::getContextsList);
  }

  /**
   * Contexts, newest first, without turns.
   *
   * @param request which, and which page
   * @return a page
   */
  public CallFuture<ContextPage> list(ListContextsRequest request) {
    return connections
        .unary(ContextServiceGrpc.getListContextsMethod(), request, Connection.Request.PLAIN)
        .map(
            page ->
                new ContextPage(
                    page.getContextsList(), page.getNextPageToken(), page.getPartial()));
  }

  /**
   * Contexts as they are written from now on, without turns. Throws when the stream breaks.
   *
   * @param callId only of this call; empty: of all
   * @return to be read and closed
   */
  public Watch<CallContext> watch(String callId) {
    ServerStream<WatchContextsResponse> stream =
        new ServerStream<>(
            connections.get(),
            ContextServiceGrpc.getWatchContextsMethod(),
            WatchContextsRequest.newBuilder().setCallId(callId).build());
    return new Watch<>() {
      @Override
      public CallContext read() {
        WatchContextsResponse message = stream.read();
        return message == null ? null : message.getContext();
      }

      @Override
      public void close() {
        stream.close();
      }
    };
  }

  /**
   * Deletes the context of a call.
   *
   * @param callId the call
   * @return how many were deleted
   */
  public CallFuture<Integer> delete(String callId) {
    return delete(DeleteContextsRequest.newBuilder().setCallId(callId).build());
  }

  /**
   * Deletes everything of a caller.
   *
   * @param caller in E.164
   * @return how many were deleted
   */
  public CallFuture<Integer> deleteByCaller(String caller) {
    return delete(DeleteContextsRequest.newBuilder().setCaller(caller).build());
  }

  private CallFuture<Integer> delete(DeleteContextsRequest request) {
    return connections
        .unary(ContextServiceGrpc.getDeleteContextsMethod(), request, Connection.Request.PLAIN)
        .map(DeleteContextsResponse::getDeletedCount);
  }
}
