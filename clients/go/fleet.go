package callweave

import (
	"context"

	pb "callweave.dev/go/callweave/v1"
)

// Fleet tells who is there.
type Fleet struct{ connection *connection }

// Pools are the pools of the tenant with their agents, places and waiting calls. Gateways that did not answer in time are
// named.
func (f *Fleet) Pools(ctx context.Context) (*pb.ListPoolsResponse, error) {
	return unary(ctx, f.connection, 0, false, pb.NewFleetServiceClient, pb.FleetServiceClient.ListPools, &pb.ListPoolsRequest{})
}

// Agents are the agent processes of a pool; of all pools when it is empty.
func (f *Fleet) Agents(ctx context.Context, pool string) (*pb.ListAgentsResponse, error) {
	request := &pb.ListAgentsRequest{Pool: pool}
	return unary(ctx, f.connection, 0, false, pb.NewFleetServiceClient, pb.FleetServiceClient.ListAgents, request)
}

// Gateways are the gateways.
func (f *Fleet) Gateways(ctx context.Context) (*pb.ListGatewaysResponse, error) {
	return unary(ctx, f.connection, 0, false, pb.NewFleetServiceClient, pb.FleetServiceClient.ListGateways, &pb.ListGatewaysRequest{})
}
