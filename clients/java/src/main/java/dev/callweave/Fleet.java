package dev.callweave;

import dev.callweave.v1.FleetServiceGrpc;
import dev.callweave.v1.Gateway;
import dev.callweave.v1.ListAgentsRequest;
import dev.callweave.v1.ListAgentsResponse;
import dev.callweave.v1.ListGatewaysRequest;
import dev.callweave.v1.ListGatewaysResponse;
import dev.callweave.v1.ListPoolsRequest;
import dev.callweave.v1.ListPoolsResponse;
import dev.callweave.v1.Pool;
import java.util.List;

/** Who is there. All that fails completes with CallweaveException. */
public final class Fleet {
  private final RotatingConnection connections;

  Fleet(RotatingConnection connections) {
    this.connections = connections;
  }

  /**
   * The pools.
   *
   * @return by name
   */
  public CallFuture<List<Pool>> pools() {
    return connections
        .unary(
            FleetServiceGrpc.getListPoolsMethod(),
            ListPoolsRequest.getDefaultInstance(),
            Connection.Request.PLAIN)
        .map(ListPoolsResponse::getPoolsList);
  }

  /**
   * The agent sessions.
   *
   * @param pool only of this pool; empty: of all
   * @return by pool and time of registration
   */
  public CallFuture<List<dev.callweave.v1.Agent>> agents(String pool) {
    return connections
        .unary(
            FleetServiceGrpc.getListAgentsMethod(),
            ListAgentsRequest.newBuilder().setPool(pool).build(),
            Connection.Request.PLAIN)
        .map(ListAgentsResponse::getAgentsList);
  }

  /**
   * The gateways.
   *
   * @return by id
   */
  public CallFuture<List<Gateway>> gateways() {
    return connections
        .unary(
            FleetServiceGrpc.getListGatewaysMethod(),
            ListGatewaysRequest.getDefaultInstance(),
            Connection.Request.PLAIN)
        .map(ListGatewaysResponse::getGatewaysList);
  }
}
