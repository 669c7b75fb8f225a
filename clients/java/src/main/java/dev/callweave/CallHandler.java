package dev.callweave;

/** What an agent does with a call. */
@FunctionalInterface
public interface CallHandler {
  /**
   * Runs once per call, on a thread of its own. When it returns and the agent still has the call,
   * the agent leaves, see {@link AgentBuilder#keepAfterHandler}. When it throws, the seat is given
   * back and the call is offered again; what it throws after the end of the call is not an error.
   *
   * @param call the call
   * @throws Exception anything
   */
  void handle(Call call) throws Exception;
}
