package dev.callweave;

/**
 * What somebody does who has no seat: list, watch, hear and command calls, read contexts, see who
 * is there. Safe for all threads.
 */
public final class CallweaveClient implements AutoCloseable {
  /** Options of a client. {@link #build} checks them and fails with {@code INVALID_FIELD}. */
  public static final class Builder extends ConnectionOptions<Builder> {
    private Builder() {}

    /**
     * Makes the client. Nothing is sent before the first request.
     *
     * @return the client
     * @throws CallweaveException {@code INVALID_FIELD}
     */
    public CallweaveClient build() {
      return new CallweaveClient(connection());
    }
  }

  private final RotatingConnection connections;
  private final Calls calls;
  private final Contexts contexts;
  private final Fleet fleet;

  private CallweaveClient(Connection.Config config) {
    connections = new RotatingConnection(config);
    calls = new Calls(connections);
    contexts = new Contexts(connections);
    fleet = new Fleet(connections);
  }

  /**
   * Makes a client.
   *
   * @return its options
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Lists, watches, hears and commands calls.
   *
   * @return always the same
   */
  public Calls calls() {
    return calls;
  }

  /**
   * Reads and writes the contexts of calls.
   *
   * @return always the same
   */
  public Contexts contexts() {
    return contexts;
  }

  /**
   * Pools, agents and gateways.
   *
   * @return always the same
   */
  public Fleet fleet() {
    return fleet;
  }

  /** Closes the connection; what is under way fails. */
  @Override
  public void close() {
    connections.close();
  }
}
