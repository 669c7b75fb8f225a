package callweave

import (
	"context"
	"errors"
	"io"
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// serveStream is one Serve stream on its own connection. What is ready together goes into one message: control first, then
// the audio of the calls in turn. At most one write is in flight; what comes meanwhile waits and merges.
//
// Fields below mu of the session are under its lock.
type serveStream struct {
	s          *session
	ctx        context.Context
	cancel     context.CancelFunc
	wake       chan struct{}
	finished   chan struct{}
	reattaches bool
	joins      bool

	control  []*pb.AgentItem
	calls    []*Call
	turn     int
	maxItems int
	maxBytes int
	heard    bool
	closing  bool
	over     bool
	err      *Error
}

func newServeStream(s *session, first *pb.AgentItem) *serveStream {
	ctx, cancel := context.WithCancel(context.Background())
	return &serveStream{
		s: s, ctx: ctx, cancel: cancel, wake: make(chan struct{}, 1), finished: make(chan struct{}),
		control: []*pb.AgentItem{first}, maxItems: s.maxItems, maxBytes: s.maxBytes,
		reattaches: first.GetReattach() != nil, joins: first.GetJoin() != nil,
	}
}

// send queues a control item. Full: the stream is given up.
func (st *serveStream) send(item *pb.AgentItem) {
	if st.over || st.closing {
		return
	}
	if len(st.control) >= st.s.options.MaxControlItems {
		st.fail(newError(QueueFull, codes.ResourceExhausted, "the control queue is full", "queue", "control"))
		return
	}
	st.control = append(st.control, item)
	st.kick()
}

// kick: there may be something to send.
func (st *serveStream) kick() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// fail breaks the stream off.
func (st *serveStream) fail(err *Error) {
	if st.err == nil {
		st.err = err
	}
	st.over = true
	st.cancel()
}

// end lets the stream write what is queued and last, then end. It is broken off when that takes too long.
func (st *serveStream) end(last *pb.AgentItem) {
	if last != nil {
		st.send(last)
	}
	st.closing = true
	st.kick()
	timer := time.AfterFunc(2*endTimeout, st.cancel)
	go func() {
		<-st.finished
		timer.Stop()
	}()
}

// run lives as long as the stream. It gives why it ended.
func (st *serveStream) run(endpoint string) *Error {
	defer close(st.finished)
	defer st.cancel()
	conn, err := dial(&st.s.options.ConnectionOptions, endpoint)
	if err != nil {
		return st.reasonFor(err)
	}
	defer func() { _ = conn.Close() }()
	timeout := st.s.options.ConnectTimeout
	timer := time.AfterFunc(timeout, func() {
		st.s.mu.Lock()
		defer st.s.mu.Unlock()
		if !st.heard {
			st.fail(newError(Transport, codes.DeadlineExceeded, "the gateway does not answer within "+timeout.String()))
		}
	})
	defer timer.Stop()
	starting, started := context.WithTimeout(st.ctx, timeout)
	with, err := st.s.options.authorized(starting)
	if err != nil {
		started()
		return st.reasonFor(err)
	}
	// Only the token has that time-out: what it added goes with the context of the stream.
	added, _ := metadata.FromOutgoingContext(with)
	started()
	stream, err := pb.NewAgentServiceClient(conn).Serve(metadata.NewOutgoingContext(st.ctx, added))
	if err != nil {
		return st.reasonFor(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		st.write(stream)
	}()
	for {
		var message *pb.ServeResponse
		if message, err = stream.Recv(); err != nil {
			break
		}
		st.s.take(st, message)
	}
	st.cancel()
	<-written
	return st.reasonFor(err)
}

func (st *serveStream) reasonFor(err error) *Error {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	st.over = true
	if st.err != nil {
		return st.err
	}
	switch st.err = toError(err); {
	case errors.Is(err, io.EOF):
		st.err = newError(Transport, codes.Unavailable, "the gateway ended the stream")
	case st.err.Reason == ContextDone:
		st.err = closedError("stream")
	}
	return st.err
}

// write is the one who writes.
func (st *serveStream) write(stream grpc.BidiStreamingClient[pb.ServeRequest, pb.ServeResponse]) {
	tick := time.NewTimer(tickEvery)
	defer tick.Stop()
	for {
		st.s.mu.Lock()
		items := st.gather()
		waiting := st.hasPlayback()
		closing := st.closing && len(st.control) == 0
		st.s.mu.Unlock()
		if len(items) > 0 {
			// An error comes back from Recv.
			if stream.Send(&pb.ServeRequest{Items: items}) != nil {
				return
			}
			continue
		}
		if closing {
			_ = stream.CloseSend()
			return
		}
		var later <-chan time.Time
		if waiting {
			// Audio that waits for its time is looked at again in a moment.
			tick.Reset(tickEvery)
			later = tick.C
		}
		select {
		case <-st.wake:
		case <-later:
		case <-st.ctx.Done():
			return
		}
	}
}

func (st *serveStream) hasPlayback() bool {
	for _, call := range st.calls {
		if !call.player.queue.empty() {
			return true
		}
	}
	return false
}

// gather takes what goes into the next message.
func (st *serveStream) gather() []*pb.AgentItem {
	var items []*pb.AgentItem
	bytes, at := 0, 0
	for ; at < len(st.control) && len(items) < st.maxItems; at++ {
		size := itemBytes(st.control[at])
		if len(items) > 0 && bytes+size > st.maxBytes {
			break
		}
		items = append(items, st.control[at])
		bytes += size
	}
	st.control = st.control[at:]
	if len(st.control) > 0 || st.closing {
		return items
	}
	var sources []*Call
	st.turn++
	for i := range st.calls {
		if call := st.calls[(i+st.turn)%len(st.calls)]; !call.player.queue.empty() {
			sources = append(sources, call)
		}
	}
	for len(sources) > 0 {
		again := sources[:0]
		for _, call := range sources {
			// Room is left for the largest item, so that nothing taken from a queue has to be put back.
			if len(items) >= st.maxItems || bytes > st.maxBytes/2 {
				return items
			}
			item := call.nextItem()
			if item == nil {
				continue
			}
			size := itemBytes(item)
			if len(items) > 0 && bytes+size > st.maxBytes {
				st.control = append(st.control, item)
				return items
			}
			items = append(items, item)
			bytes += size
			again = append(again, call)
		}
		sources = again
	}
	return items
}

func itemBytes(item *pb.AgentItem) int {
	if audio := item.GetAudio(); audio != nil {
		return len(audio.GetPcm()) + 32
	}
	return proto.Size(item) + 16
}
