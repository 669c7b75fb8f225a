package callweave

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
)

func testClient(t *testing.T, g *fakeGateway) *Client {
	t.Helper()
	client, err := Connect(g.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestWatchResumesFromItsCursor(t *testing.T) {
	g := startFake(t)
	client := testClient(t, g)
	var cursors []string
	g.watch = func(r *pb.WatchCallsRequest, s grpc.ServerStreamingServer[pb.WatchCallsResponse]) error {
		cursors = append(cursors, r.GetCursor())
		event := func(cursor string) {
			_ = s.Send(&pb.WatchCallsResponse{Item: &pb.WatchCallsResponse_Event{Event: &pb.CallEvent{CallId: "c", Cursor: cursor}}})
		}
		live := func(cursor string) {
			_ = s.Send(&pb.WatchCallsResponse{Item: &pb.WatchCallsResponse_Live{Live: &pb.WatchLive{Cursor: cursor}}})
		}
		switch len(cursors) {
		case 1:
			event("1")
			live("2")
			return errBroken
		case 2:
			live("2")
			event("3")
			return nil
		default:
			return refusal(codes.OutOfRange, "CURSOR_EXPIRED", "oldest", "9")
		}
	}
	var got []string
	var failed error
	for item, err := range client.Calls.Watch(context.Background(), WatchOptions{Cursor: "0"}) {
		if err != nil {
			failed = err
		} else if item.Live {
			got = append(got, "live")
		} else {
			got = append(got, item.Cursor)
		}
	}
	if !errors.Is(failed, CursorExpired) {
		t.Fatal(failed)
	}
	if want := []string{"0", "2", "3"}; len(cursors) != 3 || cursors[1] != want[1] || cursors[2] != want[2] {
		t.Fatal(cursors)
	}
	if len(got) != 3 || got[0] != "1" || got[1] != "live" || got[2] != "3" {
		t.Fatal(got)
	}
}

func TestWatchEndsWithItsReaderAndItsContext(t *testing.T) {
	g := startFake(t)
	client := testClient(t, g)
	g.watch = func(_ *pb.WatchCallsRequest, s grpc.ServerStreamingServer[pb.WatchCallsResponse]) error {
		_ = s.Send(&pb.WatchCallsResponse{Item: &pb.WatchCallsResponse_Live{Live: &pb.WatchLive{}}})
		<-s.Context().Done()
		return nil
	}
	for range client.Calls.Watch(context.Background(), WatchOptions{}) {
		break
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var last error
	for _, err := range client.Calls.Watch(ctx, WatchOptions{}) {
		last = err
		cancel()
	}
	if !errors.Is(last, ContextDone) {
		t.Fatal(last)
	}
	g.watch = func(*pb.WatchCallsRequest, grpc.ServerStreamingServer[pb.WatchCallsResponse]) error { return errBroken }
	for _, err := range client.Calls.Watch(context.Background(), WatchOptions{ResumeTimeout: time.Millisecond}) {
		last = err
	}
	if !errors.Is(last, Transport) {
		t.Fatal(last)
	}
}

func TestListen(t *testing.T) {
	g := startFake(t)
	client := testClient(t, g)
	g.listen = func(s grpc.ServerStreamingServer[pb.ListenCallResponse]) error {
		for _, m := range []*pb.ListenCallResponse{
			{Item: &pb.ListenCallResponse_Started{Started: &pb.AudioFormat{Encoding: MuLaw}}},
			{Item: &pb.ListenCallResponse_Audio{Audio: &pb.CallAudio{Position: 8000, Pcm: []byte{1}}}},
			{Item: &pb.ListenCallResponse_Gap{Gap: &pb.AudioGap{From: 8001, Duration: durationpb.New(time.Second), Reason: 1}}},
			{Item: &pb.ListenCallResponse_Ended{Ended: pb.EndReason_END_REASON_TERMINATED}},
		} {
			_ = s.Send(m)
		}
		<-s.Context().Done()
		return nil
	}
	listening, err := client.Calls.Listen(context.Background(), "c-1", ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for chunk, err := range listening.Chunks() {
		if err != nil || count == 0 && chunk.At != time.Second || count == 1 && chunk.Gap != time.Second {
			t.Fatal(chunk, err)
		}
		count++
	}
	if count != 2 || listening.EndReason() != pb.EndReason_END_REASON_TERMINATED || listening.Format().GetSampleRateHertz() != 8000 {
		t.Fatal(count, listening.EndReason(), listening.Format())
	}
	if _, err := listening.Next(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if _, err := client.Calls.Listen(context.Background(), "unknown", ListenOptions{}); !errors.Is(err, CallNotFound) {
		t.Fatal(err)
	}
}

func TestUnaryCommands(t *testing.T) {
	g := startFake(t)
	client := testClient(t, g)
	hold := make(chan struct{})
	g.connect = func(ctx context.Context, r *pb.ConnectCallRequest) (*pb.ConnectCallResponse, error) {
		if r.GetCallId() == "slow" {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-hold:
			}
		}
		return &pb.ConnectCallResponse{Call: ringing(r.GetCallId()), Pending: &pb.PendingCommand{RequestId: r.GetRequestId()}}, nil
	}
	result, err := client.Calls.Connect(context.Background(), "c-1", ConnectOptions{}, UnaryOptions{RequestID: "r", Wait: time.Second})
	if err != nil || !result.Pending || result.RequestID != "r" || result.Call.GetCallId() != "c-1" {
		t.Fatal(result, err)
	}
	if _, err := client.Calls.Connect(context.Background(), "c-1", ConnectOptions{RingTime: 1}, UnaryOptions{}); !errors.Is(err, InvalidField) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := client.Calls.Connect(ctx, "slow", ConnectOptions{}, UnaryOptions{}); !errors.Is(err, ContextDone) {
		t.Fatal(err)
	}
	quick := g.options()
	quick.RequestTimeout = 10 * time.Millisecond
	defer close(hold)
	other, err := Connect(quick)
	if err != nil {
		t.Fatal(err)
	}
	var known *Error
	if _, err := other.Calls.Connect(context.Background(), "slow", ConnectOptions{}, UnaryOptions{}); !errors.As(err, &known) || known.Reason != Transport || known.Code != codes.DeadlineExceeded {
		t.Fatal(err)
	}
	other.Close()
	if _, err := other.Calls.Get(context.Background(), "c-1"); !errors.Is(err, Closed) {
		t.Fatal(err)
	}
}
