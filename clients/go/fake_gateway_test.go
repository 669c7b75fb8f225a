package callweave

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"
)

const testTimeout = 10 * time.Second

// fakeGateway speaks the contract from the other side; each test says what it answers.
type fakeGateway struct {
	pb.UnimplementedAgentServiceServer
	pb.UnimplementedCallServiceServer
	pb.UnimplementedContextServiceServer
	t        *testing.T
	listener *bufconn.Listener
	server   *grpc.Server
	streams  chan *fakeStream
	mu       sync.Mutex
	watch    func(*pb.WatchCallsRequest, grpc.ServerStreamingServer[pb.WatchCallsResponse]) error
	listen   func(grpc.ServerStreamingServer[pb.ListenCallResponse]) error
	connect  func(context.Context, *pb.ConnectCallRequest) (*pb.ConnectCallResponse, error)
	appended []*pb.AppendTurnsRequest
}

// fakeStream is one Serve stream, as the gateway has it.
type fakeStream struct {
	t        *testing.T
	wire     grpc.BidiStreamingServer[pb.ServeRequest, pb.ServeResponse]
	items    chan *pb.AgentItem
	messages chan int
	finish   chan error
}

func startFake(t *testing.T) *fakeGateway {
	t.Helper()
	before := runtime.NumGoroutine()
	g := &fakeGateway{t: t, listener: bufconn.Listen(1 << 20), server: grpc.NewServer(), streams: make(chan *fakeStream, 16)}
	pb.RegisterAgentServiceServer(g.server, g)
	pb.RegisterCallServiceServer(g.server, g)
	pb.RegisterContextServiceServer(g.server, g)
	go func() { _ = g.server.Serve(g.listener) }()
	t.Cleanup(func() {
		g.server.Stop()
		// Nothing of the library lives on.
		until(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
	})
	return g
}

func (g *fakeGateway) Serve(wire grpc.BidiStreamingServer[pb.ServeRequest, pb.ServeResponse]) error {
	s := &fakeStream{
		t: g.t, wire: wire, items: make(chan *pb.AgentItem, 100_000), messages: make(chan int, 100_000), finish: make(chan error, 4),
	}
	g.streams <- s
	go func() {
		for {
			message, err := wire.Recv()
			if err != nil {
				s.finish <- nil
				return
			}
			s.messages <- len(message.GetItems())
			for _, item := range message.GetItems() {
				s.items <- item
			}
		}
	}()
	return <-s.finish
}

func (g *fakeGateway) GetCall(_ context.Context, request *pb.GetCallRequest) (*pb.GetCallResponse, error) {
	if request.GetCallId() == "unknown" {
		return nil, refusal(codes.NotFound, "CALL_NOT_FOUND", "call_id", "unknown")
	}
	return &pb.GetCallResponse{Call: ringing(request.GetCallId())}, nil
}

func (g *fakeGateway) WatchCalls(r *pb.WatchCallsRequest, s grpc.ServerStreamingServer[pb.WatchCallsResponse]) error {
	return g.watch(r, s)
}

func (g *fakeGateway) ListenCall(_ *pb.ListenCallRequest, s grpc.ServerStreamingServer[pb.ListenCallResponse]) error {
	return g.listen(s)
}

func (g *fakeGateway) ConnectCall(ctx context.Context, r *pb.ConnectCallRequest) (*pb.ConnectCallResponse, error) {
	return g.connect(ctx, r)
}

func (g *fakeGateway) AppendTurns(_ context.Context, r *pb.AppendTurnsRequest) (*pb.AppendTurnsResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.appended = append(g.appended, r)
	return &pb.AppendTurnsResponse{TurnCount: int32(len(r.GetTurns()))}, nil
}

func (g *fakeGateway) options() ConnectionOptions {
	return ConnectionOptions{
		Endpoints: []string{"passthrough:///fake"}, Token: "secret",
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return g.listener.DialContext(ctx)
		})},
	}
}

// agent starts an agent; it is closed at the end of the test. What it tells goes to the log of the test.
func (g *fakeGateway) agent(options AgentOptions, handler Handler) *Agent {
	g.t.Helper()
	options.ConnectionOptions = g.options()
	options.AgentID = "agent"
	if options.OnStatus == nil {
		options.OnStatus = func(Status) {}
	}
	if options.OnError == nil {
		options.OnError = func(err error, callID string) { g.t.Errorf("call %s: %v", callID, err) }
	}
	agent, err := NewAgent(options, handler)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = agent.Close() })
	agent.begin()
	return agent
}

// stream is the next stream that was opened.
func (g *fakeGateway) stream() *fakeStream {
	g.t.Helper()
	select {
	case s := <-g.streams:
		return s
	case <-time.After(testTimeout):
		g.t.Fatal("no stream was opened")
		return nil
	}
}

// registered is the next stream, its Register answered.
func (g *fakeGateway) registered() *fakeStream {
	g.t.Helper()
	s := g.stream()
	expect[*pb.AgentItem_Register](s)
	s.register()
	return s
}

func (s *fakeStream) register() {
	s.send(&pb.GatewayItem{Item: &pb.GatewayItem_Registered{Registered: &pb.Registered{
		SessionToken: "session", GatewayId: "fake", HeartbeatInterval: durationpb.New(50 * time.Millisecond),
		ReattachGrace: durationpb.New(2 * time.Second),
	}}})
}

func (s *fakeStream) send(items ...*pb.GatewayItem) {
	s.t.Helper()
	if err := s.wire.Send(&pb.ServeResponse{Items: items}); err != nil {
		s.t.Fatal(err)
	}
}

// expect is the next item of a kind; others are skipped.
func expect[I any](s *fakeStream) I {
	s.t.Helper()
	var skipped []string
	for {
		select {
		case item := <-s.items:
			if wanted, ok := item.GetItem().(I); ok {
				return wanted
			}
			skipped = append(skipped, fmt.Sprintf("%T", item.GetItem()))
		case <-time.After(testTimeout):
			var none I
			s.t.Fatalf("no %T came, only %v", none, skipped)
			return none
		}
	}
}

// assign gives the agent a call.
func (s *fakeStream) assign(call *pb.Call, handle uint32, resume pb.AssignedResume, epoch uint64) {
	s.send(&pb.GatewayItem{Item: &pb.GatewayItem_Assigned{Assigned: &pb.Assigned{
		Call: call, Handle: handle, Epoch: epoch, Resume: resume, OfferId: "offer-" + call.GetCallId(), Attempt: 1,
	}}})
}

// take offers a call and assigns it when it was accepted.
func (s *fakeStream) take(call *pb.Call, handle uint32) {
	s.t.Helper()
	s.offer(call)
	expect[*pb.AgentItem_Accept](s)
	s.assign(call, handle, pb.AssignedResume_ASSIGNED_RESUME_NEW, 1)
}

func (s *fakeStream) offer(call *pb.Call) {
	s.send(&pb.GatewayItem{Item: &pb.GatewayItem_Offer{Offer: &pb.Offer{
		OfferId: "offer-" + call.GetCallId(), Call: call, Attempt: 1, TimeLeft: durationpb.New(2 * time.Second),
	}}})
}

func (s *fakeStream) result(command *pb.Command, result *pb.CommandResult) {
	result.RequestId = command.GetRequestId()
	result.Handle = command.GetHandle()
	s.send(&pb.GatewayItem{Item: &pb.GatewayItem_CommandResult{CommandResult: result}})
}

func (s *fakeStream) event(event *pb.CallEvent) {
	s.send(&pb.GatewayItem{Item: &pb.GatewayItem_CallEvent{CallEvent: event}})
}

func (s *fakeStream) unassign(handle uint32, cause pb.SeatCause) {
	s.send(&pb.GatewayItem{Item: &pb.GatewayItem_Unassigned{Unassigned: &pb.Unassigned{
		Handle: handle, Cause: cause, EndReason: pb.EndReason_END_REASON_TERMINATED,
	}}})
}

// progress tells how much of the playback was heard and how much the gateway still has.
func (s *fakeStream) progress(handle uint32, played, queued time.Duration) {
	s.send(&pb.GatewayItem{Item: &pb.GatewayItem_Playback{Playback: &pb.PlaybackProgress{
		Handle: handle, Position: &pb.PlaybackPosition{Played: durationpb.New(played), Queued: durationpb.New(queued)},
	}}})
}

func ringing(id string) *pb.Call {
	return &pb.Call{CallId: id, Caller: "+15550101", Callee: "+15550102", State: Pending, SampleRateHertz: 8000}
}

func answered(id string) *pb.Call {
	call := ringing(id)
	call.State = Answered
	return call
}

func refusal(code codes.Code, reason string, metadata ...string) error {
	info := errorInfo(reason, metadata...)
	made, err := status.New(code, strings.ToLower(reason)).WithDetails(info)
	if err != nil {
		panic(err)
	}
	return made.Err()
}

// until waits for a condition.
func until(t *testing.T, what string, check func() bool) {
	t.Helper()
	for end := time.Now().Add(testTimeout); !check(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("timed out waiting for %s", what)
			return
		}
	}
}

// receive is the next value of a channel.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(testTimeout):
		var none T
		t.Fatalf("no %v came", reflect.TypeOf(&none).Elem())
		return none
	}
}

// taken is an agent with one answered call whose handler waits for the end of the call.
func taken(t *testing.T, options AgentOptions) (*fakeGateway, *Agent, *fakeStream, *Call) {
	t.Helper()
	g := startFake(t)
	calls := make(chan *Call, 1)
	options.KeepAfterReturn = true
	agent := g.agent(options, func(_ context.Context, call *Call) error {
		calls <- call
		return nil
	})
	s := g.registered()
	s.take(answered("c-1"), 7)
	return g, agent, s, receive(t, calls)
}
