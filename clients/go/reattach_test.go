package callweave

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

type countingReader struct {
	io.Reader
	read atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read.Add(int64(n))
	return n, err
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

var errBroken = status.Error(codes.Unavailable, "connection reset")

func TestABrokenStreamComesBack(t *testing.T) {
	g, _, s, call := taken(t, AgentOptions{})
	updates := call.Subscribe()
	s.event(&pb.CallEvent{CallId: "c-1", Sequence: 4, OwnerEpoch: 1, Event: &pb.CallEvent_Ringing{Ringing: &pb.CalleeRinging{}}})
	if update, err := updates.Next(background); err != nil || update.Event.GetSequence() != 4 {
		t.Fatal(update, err)
	}
	if err := call.Queue(say(5)); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		expect[*pb.AgentItem_Audio](s)
	}
	mark, _ := call.Mark("end")
	expect[*pb.AgentItem_Mark](s)
	connected := make(chan error, 1)
	go func() { connected <- call.Connect(background, ConnectOptions{RequestID: "ring"}) }()
	expect[*pb.AgentItem_Command](s)
	cleared := make(chan error, 1)
	s.finish <- errBroken
	if update, err := updates.Next(background); err != nil || update.Connection != ConnectionLost {
		t.Fatal(update, err)
	}
	go func() {
		_, err := call.Clear(background)
		cleared <- err
	}()
	// Without a stream a clear is answered at once; what is said then is said after it.
	if err := receive(t, cleared); err != nil {
		t.Fatal(err)
	}
	if end, _ := mark.Wait(background); end != Cleared {
		t.Fatal(end)
	}

	s = g.stream()
	reattach := expect[*pb.AgentItem_Reattach](s).Reattach
	if got := reattach.GetCalls()[0]; reattach.GetSessionToken() != "session" || got.GetCallId() != "c-1" || got.GetEpoch() != 1 || got.GetLastEventSequence() != 4 {
		t.Fatal(reattach)
	}
	s.assign(answered("c-1"), 9, pb.AssignedResume_ASSIGNED_RESUME_REATTACHED, 1)
	if command := expect[*pb.AgentItem_Command](s).Command; command.GetRequestId() != "ring" || command.GetHandle() != 9 {
		t.Fatal(command)
	}
	if update, err := updates.Next(background); err != nil || update.Connection != ConnectionBack {
		t.Fatal(update, err)
	}
	// Replayed events are told once.
	for _, sequence := range []uint64{3, 4, 5} {
		s.event(&pb.CallEvent{CallId: "c-1", Sequence: sequence, OwnerEpoch: 1, Event: &pb.CallEvent_Ringing{Ringing: &pb.CalleeRinging{}}})
	}
	if update, err := updates.Next(background); err != nil || update.Event.GetSequence() != 5 {
		t.Fatal(update, err)
	}
	s.event(&pb.CallEvent{CallId: "c-1", Sequence: 6, OwnerEpoch: 1, Event: &pb.CallEvent_CommandDone{CommandDone: &pb.CommandDone{RequestId: "ring"}}})
	if err := receive(t, connected); err != nil {
		t.Fatal(err)
	}
	if call.Epoch() != 1 {
		t.Fatal(call.Epoch())
	}
}

func TestLostAudioIsSentAgain(t *testing.T) {
	g, _, s, call := taken(t, AgentOptions{})
	if err := call.Queue(say(5)); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		expect[*pb.AgentItem_Audio](s)
	}
	s.finish <- errBroken
	s = g.stream()
	expect[*pb.AgentItem_Reattach](s)
	info := answered("c-1")
	info.Playback = &pb.PlaybackPosition{Played: durationpb.New(200 * time.Millisecond), Queued: durationpb.New(100 * time.Millisecond)}
	s.assign(info, 9, pb.AssignedResume_ASSIGNED_RESUME_REATTACHED, 1)
	var heard []byte
	for len(heard) < 3200 {
		audio := expect[*pb.AgentItem_Audio](s).Audio
		if audio.GetHandle() != 9 {
			t.Fatal(audio.GetHandle())
		}
		heard = append(heard, audio.GetPcm()...)
	}
	if !bytes.Equal(heard, say(5)[3*1600:]) {
		t.Fatalf("%d bytes, the first %d", len(heard), heard[0])
	}
}

func TestTooLateEndsTheCall(t *testing.T) {
	g, agent, s, call := taken(t, AgentOptions{})
	s.finish <- errBroken
	s = g.stream()
	expect[*pb.AgentItem_Reattach](s)
	s.send(&pb.GatewayItem{Item: &pb.GatewayItem_ItemRefused{ItemRefused: &pb.ItemRefused{
		Item: "reattach", Error: &pb.Error{Code: 10, Reason: pb.ErrorReason_ERROR_REASON_SEAT_TAKEN, Metadata: map[string]string{"call_id": "c-1"}},
	}}})
	<-call.Ended()
	if call.End().Cause != CauseLost || len(agent.Calls()) != 0 {
		t.Fatal(call.End())
	}
	// It is an agent again.
	s.offer(answered("c-2"))
	expect[*pb.AgentItem_Accept](s)
}

func TestReattachTimeout(t *testing.T) {
	g, _, s, call := taken(t, AgentOptions{ReattachTimeout: time.Millisecond})
	s.finish <- errBroken
	<-call.Ended()
	if call.End().Cause != CauseLost {
		t.Fatal(call.End())
	}
	g.registered()
}

func TestASessionThatNobodyKnowsIsRegisteredAgain(t *testing.T) {
	g, _, s, call := taken(t, AgentOptions{})
	pending := make(chan error, 1)
	go func() { pending <- call.Connect(background, ConnectOptions{RequestID: "ring"}) }()
	s.result(expect[*pb.AgentItem_Command](s).Command, &pb.CommandResult{Pending: true})
	until(t, "the answer", func() bool {
		call.lock()
		defer call.unlock()
		return len(call.commands.in(commandPending)) == 1
	})
	s.finish <- errBroken
	s = g.stream()
	expect[*pb.AgentItem_Reattach](s)
	s.finish <- refusal(codes.NotFound, "SESSION_NOT_FOUND")
	s = g.registered()
	// Another gateway took the call over and gives the seat again, under a new epoch.
	s.assign(answered("c-1"), 3, pb.AssignedResume_ASSIGNED_RESUME_TAKEN_OVER, 2)
	until(t, "the new epoch", func() bool { return call.Epoch() == 2 })
	s.event(&pb.CallEvent{CallId: "c-1", Sequence: 1, OwnerEpoch: 2, Event: &pb.CallEvent_CommandDone{CommandDone: &pb.CommandDone{
		RequestId: "ring", Error: &pb.Error{Code: 2, Reason: pb.ErrorReason_ERROR_REASON_OUTCOME_UNKNOWN},
	}}})
	if err := receive(t, pending); !errors.Is(err, OutcomeUnknown) {
		t.Fatal(err)
	}
}

func TestFurtherStreamsAreOpenedByNeed(t *testing.T) {
	g := startFake(t)
	calls := make(chan *Call, 8)
	g.agent(AgentOptions{Capacity: 8, CallsPerStream: 2, MaxStreams: 2, KeepAfterReturn: true}, func(_ context.Context, call *Call) error {
		calls <- call
		return nil
	})
	first := g.registered()
	first.take(answered("c-1"), 1)
	first.take(answered("c-2"), 2)
	select {
	case <-g.streams:
		t.Fatal("two calls need one stream")
	case <-time.After(20 * time.Millisecond):
	}
	first.take(answered("c-3"), 3)
	second := g.stream()
	if token := expect[*pb.AgentItem_Join](second).Join.GetSessionToken(); token != "session" {
		t.Fatal(token)
	}
	second.register()
	byID := map[string]*Call{}
	for range 3 {
		call := receive(t, calls)
		byID[call.ID()] = call
	}
	second.take(answered("c-4"), 4)
	fourth := receive(t, calls)
	if err := fourth.Queue(say(1)); err != nil {
		t.Fatal(err)
	}
	expect[*pb.AgentItem_Audio](second)
	// A lost stream gives its calls to its sibling; also the first one.
	first.finish <- errBroken
	until(t, "the loss", func() bool {
		call := byID["c-1"]
		call.lock()
		defer call.unlock()
		return call.stream == nil
	})
	if err := byID["c-1"].Queue(say(1)); err != nil {
		t.Fatal(err)
	}
	second.assign(answered("c-1"), 11, pb.AssignedResume_ASSIGNED_RESUME_MOVED, 1)
	if handle := expect[*pb.AgentItem_Audio](second).Audio.GetHandle(); handle != 11 {
		t.Fatal(handle)
	}
	// The last one lost: all come back on a new stream.
	second.finish <- errBroken
	third := g.stream()
	if back := expect[*pb.AgentItem_Reattach](third).Reattach.GetCalls(); len(back) != 4 {
		t.Fatal(back)
	}
}

func TestMessagesAreMergedAndBounded(t *testing.T) {
	g := startFake(t)
	calls := make(chan *Call, 400)
	g.agent(AgentOptions{Capacity: 400, MaxStreams: 1, KeepAfterReturn: true}, func(_ context.Context, call *Call) error {
		calls <- call
		return nil
	})
	s := g.registered()
	for i := range 400 {
		s.offer(answered(fmt.Sprint("c-", i)))
	}
	for range 400 {
		id := expect[*pb.AgentItem_Accept](s).Accept.GetOfferId()
		var n int
		_, _ = fmt.Sscanf(id, "offer-c-%d", &n)
		s.assign(answered(fmt.Sprint("c-", n)), uint32(n+1), pb.AssignedResume_ASSIGNED_RESUME_NEW, 1)
	}
	var all []*Call
	for range 400 {
		all = append(all, receive(t, calls))
	}
	// While the stream is held, all becomes ready together.
	session := all[0].s
	session.mu.Lock()
	for len(s.messages) > 0 {
		<-s.messages
	}
	for _, call := range all {
		if _, err := call.player.play(make([]byte, 320)); err != nil {
			t.Error(err)
		}
	}
	session.mu.Unlock()
	for range 400 {
		expect[*pb.AgentItem_Audio](s)
	}
	largest := 0
	for len(s.messages) > 0 {
		largest = max(largest, <-s.messages)
	}
	if largest != maxMessageItems {
		t.Errorf("the largest message has %d items", largest)
	}
}

func TestMessagesAreBoundedInBytes(t *testing.T) {
	st := &serveStream{maxItems: maxMessageItems, maxBytes: maxMessageBytes}
	for range 10 {
		st.control = append(st.control, &pb.AgentItem{Item: &pb.AgentItem_Audio{Audio: &pb.AgentAudio{Pcm: make([]byte, 100_000)}}})
	}
	for range 5 {
		if items := st.gather(); len(items) != 2 {
			t.Fatal(len(items))
		}
	}
}

func TestAFullControlQueueGivesTheStreamUp(t *testing.T) {
	g, _, _, call := taken(t, AgentOptions{MaxControlItems: 100})
	call.lock()
	for range 200 {
		if call.stream == nil {
			break
		}
		call.stream.send(&pb.AgentItem{Item: &pb.AgentItem_Heartbeat{Heartbeat: &pb.Heartbeat{}}})
	}
	call.unlock()
	expect[*pb.AgentItem_Reattach](g.stream())
}

func TestGarbageDoesNoHarm(t *testing.T) {
	told := make(chan error, 4)
	_, agent, s, call := taken(t, AgentOptions{OnError: func(err error, _ string) { told <- err }})
	s.send(
		nil, &pb.GatewayItem{},
		&pb.GatewayItem{Item: &pb.GatewayItem_Assigned{Assigned: nil}},
		&pb.GatewayItem{Item: &pb.GatewayItem_Offer{Offer: &pb.Offer{}}},
		&pb.GatewayItem{Item: &pb.GatewayItem_CallEvent{CallEvent: &pb.CallEvent{CallId: "c-1", Sequence: 9}}},
		&pb.GatewayItem{Item: &pb.GatewayItem_CommandResult{CommandResult: &pb.CommandResult{RequestId: "never given"}}},
		&pb.GatewayItem{Item: &pb.GatewayItem_MarkReached{MarkReached: &pb.MarkReached{Handle: 7, Name: "never set"}}},
		&pb.GatewayItem{Item: &pb.GatewayItem_PlaybackCleared{PlaybackCleared: &pb.PlaybackCleared{Handle: 7}}},
		&pb.GatewayItem{Item: &pb.GatewayItem_Playback{Playback: &pb.PlaybackProgress{Handle: 7}}},
		&pb.GatewayItem{Item: &pb.GatewayItem_ItemRefused{ItemRefused: &pb.ItemRefused{}}},
		&pb.GatewayItem{Item: &pb.GatewayItem_Unassigned{Unassigned: &pb.Unassigned{Handle: 999}}},
	)
	if err := receive(t, told); err == nil {
		t.Fatal("a refusal without a reason is told")
	}
	if err := call.Queue(say(1)); err != nil || len(agent.Calls()) == 0 {
		t.Fatal(err)
	}
	expect[*pb.AgentItem_Audio](s)
}
