package callweave

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// session is one registration at one gateway, over as many streams as it takes.
type session struct {
	agent      *Agent
	options    *AgentOptions
	instanceID string
	started    time.Time
	// Ends the waits between attempts.
	ctx    context.Context
	cancel context.CancelFunc
	// Closed when the session is over; err then says why.
	finished chan struct{}
	err      *Error

	// Guards all below, and the calls and streams of the session.
	mu          sync.Mutex
	calls       map[string]*Call
	handles     map[uint32]*Call
	offers      map[string]*Offer
	streams     []*serveStream
	token       string
	endpoint    int
	up          bool
	upAt        time.Duration
	everUp      bool
	lostAt      time.Duration
	grace       time.Duration
	heartbeat   time.Duration
	beating     context.CancelFunc
	maxPlayback time.Duration
	maxItems    int
	maxBytes    int
	draining    bool
	leaving     bool
	closed      bool
	loadFailed  bool
	joinFails   int
	// Up again, and not all calls have come back yet.
	settling    bool
	settleTimer *time.Timer
}

func newSession(a *Agent, instanceID string, endpoint int) *session {
	s := &session{
		agent: a, options: &a.options, instanceID: instanceID, started: time.Now(), finished: make(chan struct{}),
		calls: map[string]*Call{}, handles: map[uint32]*Call{}, offers: map[string]*Offer{}, endpoint: endpoint,
		grace: defaultGrace, heartbeat: defaultHeartbeat, maxPlayback: defaultMaxPlayback,
		maxItems: maxMessageItems, maxBytes: maxMessageBytes,
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// now is the own clock.
func (s *session) now() time.Duration { return time.Since(s.started) }

// run lives as long as the session.
func (s *session) run() {
	defer close(s.finished)
	defer s.cancel()
	var wait backoff
	for {
		err := s.connectOnce()
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return
		}
		wasUp := s.up
		if wasUp && s.now()-s.upAt > stableAfter {
			wait.reset()
		}
		if wasUp && !s.settling {
			s.lostAt = s.now()
		}
		s.down()
		if s.isFatal(err) {
			s.endCalls(CauseLost)
			s.err = err
			s.mu.Unlock()
			return
		}
		unknown := err.Reason == sessionNotFound
		if unknown {
			// The gateway died, or this is another one: register there under the same instance id. Its calls are kept for
			// the gateway that takes them over and gives this agent its seats again.
			s.token = ""
		}
		s.giveUpLateCalls()
		if s.leaving && len(s.calls) == 0 {
			s.mu.Unlock()
			return
		}
		if !wasUp && !unknown {
			s.endpoint++
		}
		retry := time.Duration(0)
		if !unknown {
			retry = wait.next()
		}
		s.mu.Unlock()
		s.agent.tellStatus(Status{Kind: StatusDisconnected, Err: err, RetryIn: retry})
		s.agent.changed()
		if !sleep(s.ctx, retry) {
			return
		}
		s.mu.Lock()
		s.giveUpLateCalls()
		s.mu.Unlock()
	}
}

func (s *session) isFatal(err *Error) bool {
	switch err.Reason {
	case Superseded, InvalidField:
		return true
	}
	// Final only before the first registration: a configuration may be reloaded, a token renewed. And what is no gateway, or
	// never lets this client in.
	first := err.Reason == PoolNotFound || err.Reason == Unauthenticated || err.Code == codes.Unimplemented ||
		err.Code == codes.PermissionDenied || err.Code == codes.Unauthenticated
	return !s.everUp && first
}

// connectOnce opens a stream; it gives why the last stream of the session ended.
func (s *session) connectOnce() *Error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return closedError("agent")
	}
	st := newServeStream(s, s.firstItem())
	s.streams = []*serveStream{st}
	endpoint := s.options.Endpoints[s.endpoint%len(s.options.Endpoints)]
	s.mu.Unlock()
	err := st.run(endpoint)
	for {
		s.mu.Lock()
		sibling := s.streamGone(st)
		s.mu.Unlock()
		if sibling == nil {
			return err
		}
		// A further stream is the first one now.
		<-sibling.finished
		st, err = sibling, sibling.err
	}
}

// streamGone forgets a stream; its calls wait to be given to a sibling, which is answered.
func (s *session) streamGone(st *serveStream) *serveStream {
	s.streams = slices.DeleteFunc(s.streams, func(other *serveStream) bool { return other == st })
	for _, call := range st.calls {
		delete(s.handles, call.handle)
		call.onDetached()
	}
	st.calls = nil
	if len(s.streams) == 0 {
		return nil
	}
	if !s.closed {
		time.AfterFunc(s.takeover(), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, call := range s.calls {
				if call.stream == nil && s.now()-call.detachedAt >= s.takeover() {
					s.remove(call).finish(CallEnd{Cause: CauseLost})
				}
			}
		})
	}
	return s.streams[0]
}

// grow opens a further stream when those there are have many calls.
func (s *session) grow() {
	need := min(s.options.MaxStreams, (len(s.calls)+s.options.CallsPerStream-1)/s.options.CallsPerStream)
	if !s.up || s.closed || s.leaving || s.token == "" || len(s.streams) >= need || s.joinFails >= 3 {
		return
	}
	st := newServeStream(s, &pb.AgentItem{Item: &pb.AgentItem_Join{Join: &pb.Join{SessionToken: s.token}}})
	s.streams = append(s.streams, st)
	endpoint := s.options.Endpoints[s.endpoint%len(s.options.Endpoints)]
	go func() {
		st.run(endpoint)
		s.mu.Lock()
		defer s.mu.Unlock()
		if !st.heard {
			s.joinFails++
		}
		// As the first of the streams it is connectOnce's: that waits for its end.
		if len(s.streams) == 0 || s.streams[0] != st {
			s.streamGone(st)
		}
	}()
}

func (s *session) firstItem() *pb.AgentItem {
	if s.token != "" && len(s.calls) > 0 {
		return &pb.AgentItem{Item: &pb.AgentItem_Reattach{Reattach: s.reattach()}}
	}
	o := s.options
	return &pb.AgentItem{Item: &pb.AgentItem_Register{Register: &pb.Register{
		AgentId: o.AgentID, InstanceId: s.instanceID, Pool: o.Pool, Capacity: int32(o.Capacity), AudioFormat: o.AudioFormat,
		Labels: o.Labels, AnswerOnAccept: !o.ManualAnswer, Heartbeat: !o.NoHeartbeat, NoAudio: o.NoAudio,
	}}}
}

// reattach names as many calls as one message holds; a call without room, which is only so with ids far beyond the usual
// length, ends.
func (s *session) reattach() *pb.Reattach {
	made := &pb.Reattach{SessionToken: s.token}
	bytes := len(s.token) + 64
	for _, id := range slices.Sorted(maps.Keys(s.calls)) {
		call := s.calls[id]
		item := &pb.ReattachCall{CallId: id, Epoch: call.epoch, LastEventSequence: call.lastSequence}
		if bytes += proto.Size(item) + 3; bytes > s.maxBytes {
			s.agent.tellError(newError(Transport, codes.ResourceExhausted, "the calls to come back to do not fit a message", "call_id", id), id)
			s.remove(call).finish(CallEnd{Cause: CauseLost})
			continue
		}
		made.Calls = append(made.Calls, item)
	}
	return made
}

// down: the last stream is gone.
func (s *session) down() {
	s.up = false
	s.joinFails = 0
	if s.beating != nil {
		s.beating()
		s.beating = nil
	}
	if s.settleTimer != nil {
		s.settleTimer.Stop()
	}
	clear(s.offers)
	clear(s.handles)
	for _, call := range s.calls {
		call.onDetached()
	}
}

// takeover is how long calls are kept after a lost stream: time to come back, or for another gateway to take them over.
func (s *session) takeover() time.Duration {
	if s.options.ReattachTimeout != 0 {
		return s.options.ReattachTimeout
	}
	return s.grace + takeoverTime
}

func (s *session) giveUpLateCalls() {
	if len(s.calls) > 0 && s.now()-s.lostAt > s.takeover() {
		s.endCalls(CauseLost)
	}
}

func (s *session) endCalls(cause Cause) {
	s.token = ""
	for _, call := range s.calls {
		s.remove(call).finish(CallEnd{Cause: cause})
	}
}

func (s *session) remove(call *Call) *Call {
	if s.calls[call.id] == call {
		delete(s.calls, call.id)
	}
	if s.handles[call.handle] == call {
		delete(s.handles, call.handle)
	}
	if st := call.stream; st != nil {
		st.calls = slices.DeleteFunc(st.calls, func(other *Call) bool { return other == call })
	}
	return call
}

// drain: no more offers; calls go on.
func (s *session) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining && s.up {
		s.sendAny(&pb.AgentItem{Item: &pb.AgentItem_Drain{Drain: &pb.Drain{}}})
	}
	s.draining = true
}

func (s *session) reauthenticate(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		st.reauthenticate(token)
	}
}

// close gives all calls back and ends; it returns when the streams have ended.
func (s *session) close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		s.cancel()
		wasUp := s.up
		s.endCalls(CauseClosed)
		s.down()
		for i, st := range s.streams {
			switch {
			case !wasUp || !st.heard:
				st.fail(closedError("agent"))
			case i == 0:
				st.end(&pb.AgentItem{Item: &pb.AgentItem_Bye{Bye: &pb.Bye{}}})
			default:
				st.end(nil)
			}
		}
	}
	s.mu.Unlock()
	<-s.finished
}

// sendAny sends on the first stream.
func (s *session) sendAny(item *pb.AgentItem) {
	if len(s.streams) > 0 {
		s.streams[0].send(item)
	}
}
