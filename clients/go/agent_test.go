package callweave

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

func TestAgentRegistersAndRunsItsHandlerOnceAnswered(t *testing.T) {
	g := startFake(t)
	begun := make(chan pb.CallState, 1)
	causes := make(chan error, 1)
	agent := g.agent(AgentOptions{Capacity: 3, Pool: "sales", Labels: map[string]string{"v": "1"}, AudioFormat: Format(8000)},
		func(ctx context.Context, call *Call) error {
			begun <- call.State()
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		})
	s := g.stream()
	register := expect[*pb.AgentItem_Register](s).Register
	if register.GetPool() != "sales" || register.GetCapacity() != 3 || !register.GetAnswerOnAccept() || !register.GetHeartbeat() ||
		register.GetInstanceId() != agent.InstanceID() || register.GetAudioFormat().GetSampleRateHertz() != 8000 {
		t.Fatal(register)
	}
	s.register()
	if err := agent.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if beat := expect[*pb.AgentItem_Heartbeat](s); beat.Heartbeat.GetLoad() != 0 {
		t.Fatal(beat)
	}
	s.take(ringing("c-1"), 7)
	until(t, "the call", func() bool { return len(agent.Calls()) == 1 })
	select {
	case <-begun:
		t.Fatal("the handler runs before the call is answered")
	default:
	}
	s.event(&pb.CallEvent{CallId: "c-1", Sequence: 1, Event: &pb.CallEvent_Answered{Answered: &pb.CallAnswered{}}})
	if state := receive(t, begun); state != Answered {
		t.Fatal(state)
	}
	s.unassign(7, pb.SeatCause_SEAT_CAUSE_CALL_ENDED)
	var over *Error
	if err := receive(t, causes); !errors.As(err, &over) || over.Reason != CallOver || over.Metadata["cause"] != "CALL_ENDED" {
		t.Fatal(err)
	}
}

// What a handler does badly ends its own call by policy; the process and other calls live on.
func TestAHandlerThatFails(t *testing.T) {
	for name, bad := range map[string]func() error{
		"an error": func() error { return errors.New("told to fail") },
		"a panic":  func() error { return []error{}[len(os.Args[:0])] },
	} {
		t.Run(name, func(t *testing.T) {
			g := startFake(t)
			told := make(chan error, 1)
			others := make(chan *Call, 1)
			g.agent(AgentOptions{Capacity: 2, OnError: func(err error, callID string) {
				if callID == "bad" {
					told <- err
				}
			}}, func(ctx context.Context, call *Call) error {
				if call.ID() == "bad" {
					return bad()
				}
				others <- call
				<-ctx.Done()
				return nil
			})
			s := g.registered()
			s.take(answered("good"), 1)
			good := receive(t, others)
			s.take(answered("bad"), 2)
			command := expect[*pb.AgentItem_Command](s).Command
			if command.GetRelease() == nil || command.GetHandle() != 2 {
				t.Fatal(command)
			}
			err := receive(t, told)
			if name == "a panic" && (!errors.Is(err, HandlerPanicked) || !strings.Contains(err.Error(), "agent_test.go")) {
				t.Fatal(err)
			}
			s.result(command, &pb.CommandResult{})
			s.unassign(2, pb.SeatCause_SEAT_CAUSE_RELEASED)
			if err := good.Queue(say(1)); err != nil {
				t.Fatal(err)
			}
			expect[*pb.AgentItem_Audio](s)
		})
	}
}

func TestAHandlerThatReturnsLeaves(t *testing.T) {
	connected := answered("connected")
	connected.State = Connected
	for call, check := range map[*pb.Call]func(*pb.Command) bool{
		answered("answered"): func(c *pb.Command) bool { return c.GetDisconnect().GetAfter().GetCondition() == AfterDrained },
		connected:            func(c *pb.Command) bool { return c.GetClose() != nil && !c.GetClose().GetEndCall() },
		ringing("pending"):   func(c *pb.Command) bool { return c.GetRelease() != nil },
	} {
		g := startFake(t)
		g.agent(AgentOptions{ManualAnswer: true}, func(context.Context, *Call) error { return nil })
		s := g.registered()
		s.take(call, 1)
		command := expect[*pb.AgentItem_Command](s).Command
		if !check(command) {
			t.Errorf("%s: %v", call.GetCallId(), command)
		}
		s.unassign(1, pb.SeatCause_SEAT_CAUSE_CALL_ENDED)
	}
}

func TestOffersAreDeclined(t *testing.T) {
	panicked := make(chan error, 1)
	g := startFake(t)
	g.agent(AgentOptions{
		Capacity: 1,
		OnError:  func(err error, _ string) { panicked <- err },
		Accept: func(_ context.Context, offer *Offer) error {
			switch offer.Call.GetCallId() {
			case "no":
				return errors.New("not today")
			case "panic":
				panic("x")
			}
			return nil
		},
	}, func(ctx context.Context, _ *Call) error { <-ctx.Done(); return nil })
	s := g.registered()
	declined := func(id string) string {
		s.offer(ringing(id))
		return expect[*pb.AgentItem_Decline](s).Decline.GetReason()
	}
	if reason := declined("no"); reason != "not today" {
		t.Error(reason)
	}
	if reason := declined("panic"); reason != "the agent failed to decide" || !errors.Is(receive(t, panicked), HandlerPanicked) {
		t.Error(reason)
	}
	s.take(answered("yes"), 1)
	if reason := declined("more"); reason != "at capacity" {
		t.Error(reason)
	}
}

func TestWhatCanNeverWorkIsToldAtOnce(t *testing.T) {
	for _, test := range []struct {
		err  error
		want Reason
		code codes.Code
	}{
		{refusal(codes.Unauthenticated, "UNAUTHENTICATED"), Unauthenticated, codes.Unauthenticated},
		{refusal(codes.NotFound, "POOL_NOT_FOUND", "pool", "x"), PoolNotFound, codes.NotFound},
		{refusal(codes.InvalidArgument, "INVALID_FIELD", "field", "labels"), InvalidField, codes.InvalidArgument},
		{refusal(codes.PermissionDenied, "PERMISSION_DENIED"), "PERMISSION_DENIED", codes.PermissionDenied},
		{status.Error(codes.Unimplemented, "unknown service callweave.v1.AgentService"), Transport, codes.Unimplemented},
	} {
		g := startFake(t)
		agent := g.agent(AgentOptions{}, func(context.Context, *Call) error { return nil })
		g.stream().finish <- test.err
		for _, err := range []error{agent.Start(context.Background()), agent.Run(context.Background())} {
			var known *Error
			if !errors.As(err, &known) || known.Reason != test.want || known.Code != test.code {
				t.Errorf("%v gives %#v", test.err, err)
			}
		}
	}
}

// Once it was registered, a renewed token or a reloaded configuration may help.
func TestLaterRefusalsAreTriedAgain(t *testing.T) {
	g := startFake(t)
	statuses := make(chan Status, 10)
	g.agent(AgentOptions{OnStatus: func(s Status) { statuses <- s }}, func(context.Context, *Call) error { return nil })
	s := g.registered()
	if status := receive(t, statuses); status.Kind != StatusConnected || status.GatewayID != "fake" {
		t.Fatal(status)
	}
	s.finish <- refusal(codes.Unauthenticated, "UNAUTHENTICATED")
	if status := receive(t, statuses); status.Kind != StatusDisconnected || !errors.Is(status.Err, Unauthenticated) || status.RetryIn <= 0 {
		t.Fatal(status)
	}
	g.registered()
}

func TestSupersededEndsTheAgent(t *testing.T) {
	_, agent, s, call := taken(t, AgentOptions{})
	s.finish <- refusal(codes.Aborted, "SUPERSEDED", "instance_id", "x")
	if err := agent.Run(context.Background()); !errors.Is(err, Superseded) {
		t.Fatal(err)
	}
	if end := call.End(); end.Cause != CauseLost {
		t.Fatal(end)
	}
}

func TestNobodyThere(t *testing.T) {
	statuses := make(chan Status, 100)
	agent, err := NewAgent(AgentOptions{
		ConnectionOptions: ConnectionOptions{Endpoint: "127.0.0.1:1"}, AgentID: "a", OnStatus: func(s Status) { statuses <- s },
	}, func(context.Context, *Call) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	started := make(chan error, 1)
	go func() { started <- agent.Start(ctx) }()
	status := receive(t, statuses)
	var known *Error
	if !errors.As(status.Err, &known) || known.Reason != Transport || known.Code != codes.Unavailable {
		t.Fatal(status.Err)
	}
	cancel()
	if err := receive(t, started); !errors.Is(err, ContextDone) {
		t.Fatal(err)
	}
	_ = agent.Close()
}

func TestAGatewayThatDoesNotAnswer(t *testing.T) {
	g := startFake(t)
	statuses := make(chan Status, 10)
	g.agent(AgentOptions{ConnectTimeout: 100 * time.Millisecond, OnStatus: func(s Status) { statuses <- s }},
		func(context.Context, *Call) error { return nil })
	g.stream()
	var known *Error
	if status := receive(t, statuses); !errors.As(status.Err, &known) || known.Code != codes.DeadlineExceeded {
		t.Fatal(status)
	}
	g.registered()
}

func TestDrainWaitsForCallsAndGivesTheRestBack(t *testing.T) {
	_, agent, s, call := taken(t, AgentOptions{Capacity: 2})
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- agent.Run(ctx) }()
	cancel()
	expect[*pb.AgentItem_Drain](s)
	s.offer(ringing("late"))
	expect[*pb.AgentItem_Decline](s)
	select {
	case <-ran:
		t.Fatal("it did not wait for the call")
	default:
	}
	s.unassign(7, pb.SeatCause_SEAT_CAUSE_CALL_ENDED)
	expect[*pb.AgentItem_Bye](s)
	if err := receive(t, ran); err != nil {
		t.Fatal(err)
	}
	if call.End().Cause != CauseCallEnded {
		t.Fatal(call.End())
	}
	if err := agent.Start(context.Background()); !errors.Is(err, Closed) {
		t.Fatal(err)
	}
}

func TestDrainTimeout(t *testing.T) {
	_, agent, s, call := taken(t, AgentOptions{DrainTimeout: 20 * time.Millisecond})
	if err := agent.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	expect[*pb.AgentItem_Bye](s)
	if call.End().Cause != CauseClosed {
		t.Fatal(call.End())
	}
}

func TestGoingAway(t *testing.T) {
	g, agent, s, call := taken(t, AgentOptions{})
	s.send(&pb.GatewayItem{Item: &pb.GatewayItem_GoAway{GoAway: &pb.GoAway{Deadline: durationpb.New(time.Second)}}})
	next := g.stream()
	if id := expect[*pb.AgentItem_Register](next).Register.GetInstanceId(); id == agent.InstanceID() {
		t.Fatal("the old session lives on for its calls: the new one needs another instance id")
	}
	next.register()
	expect[*pb.AgentItem_Drain](s)
	if len(agent.Calls()) != 1 {
		t.Fatal("the call goes on")
	}
	s.unassign(7, pb.SeatCause_SEAT_CAUSE_CALL_ENDED)
	<-call.Ended()
	expect[*pb.AgentItem_Bye](s)
}

func TestBadLoads(t *testing.T) {
	g := startFake(t)
	var mu sync.Mutex
	answer := func() float64 { panic("x") }
	errs := make(chan error, 10)
	g.agent(AgentOptions{OnError: func(err error, _ string) { errs <- err }, Load: func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return answer()
	}}, func(context.Context, *Call) error { return nil })
	s := g.registered()
	if load := expect[*pb.AgentItem_Heartbeat](s).Heartbeat.GetLoad(); load != 0 || !errors.Is(receive(t, errs), HandlerPanicked) {
		t.Fatal(load)
	}
	mu.Lock()
	answer = func() float64 { return 7 }
	mu.Unlock()
	for expect[*pb.AgentItem_Heartbeat](s).Heartbeat.GetLoad() != 1 {
	}
	if len(errs) > 0 {
		t.Fatal("it is told once")
	}
}

func TestTokens(t *testing.T) {
	for name, source := range map[string]func(context.Context) (string, error){
		"an error": func(context.Context) (string, error) { return "", errors.New("no") },
		"a panic":  func(context.Context) (string, error) { panic("no") },
		"silence":  func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() },
	} {
		o := ConnectionOptions{TokenSource: source}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		if _, err := o.authorized(ctx); !errors.Is(err, Transport) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	o := ConnectionOptions{Token: "secret"}
	err := newError(Transport, codes.Unavailable, "x")
	if text := fmt.Sprintf("%+v %v", err, err); strings.Contains(text, o.Token) {
		t.Error("the token is in an error")
	}
}

func TestFreshTokens(t *testing.T) {
	g := startFake(t)
	options := AgentOptions{ConnectionOptions: g.options(), AgentID: "a", OnStatus: func(Status) {}}
	options.TokenSource = func(context.Context) (string, error) { return "fresh", nil }
	agent, err := NewAgent(options, func(context.Context, *Call) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	agent.begin()
	s := g.registered()
	s.send(&pb.GatewayItem{Item: &pb.GatewayItem_CredentialExpiring{CredentialExpiring: &pb.CredentialExpiring{}}})
	if token := expect[*pb.AgentItem_Reauthenticate](s).Reauthenticate.GetToken(); token != "fresh" {
		t.Fatal(token)
	}
	agent.Reauthenticate("by hand")
	if token := expect[*pb.AgentItem_Reauthenticate](s).Reauthenticate.GetToken(); token != "by hand" {
		t.Fatal(token)
	}
}

func TestCallbacksAreInOrderAndMayPanic(t *testing.T) {
	var n notifier
	var got []int
	done := make(chan struct{})
	hold := make(chan struct{})
	n.post(func() { <-hold; panic("x") })
	for i := range mostStatuses + 5 {
		n.post(func() { got = append(got, i) })
	}
	n.post(func() { close(done) })
	close(hold)
	receive(t, done)
	// The oldest were dropped.
	if len(got) != mostStatuses-1 || got[0] != 6 || got[len(got)-1] != mostStatuses+4 {
		t.Fatal(len(got), got[0])
	}
}
