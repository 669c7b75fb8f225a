package callweave

import (
	"context"
	"fmt"
	"io"

	pb "callweave.dev/go/callweave/v1"
)

// Update is one thing that happened to a call whose seat the agent has. One field is set.
type Update struct {
	// Something happened to the call.
	Event *pb.CallEvent
	// A text from a supervisor, heard by nobody.
	Note *pb.Note
	// Lost: the connection broke, the seat is reserved for a moment. Back: it is back.
	Connection ConnectionChange
	// The gateway told how far the playback is: at most twice a second.
	Playback *PlaybackStatus
}

// ConnectionChange tells that the stream of a call was lost or is back.
type ConnectionChange string

const (
	// ConnectionLost: the connection broke, the seat is reserved for a moment.
	ConnectionLost ConnectionChange = "LOST"
	// ConnectionBack: the call is on a new stream.
	ConnectionBack ConnectionChange = "BACK"
)

// Subscription reads the updates of a call from when it was made.
type Subscription struct {
	call   *Call
	items  []Update
	most   int
	full   bool
	closed bool
	wake   chan struct{}
}

// Next waits for the next update. io.EOF: the call is over or the subscription closed, and all was read. QueueFull: more
// than MaxUpdatesQueued waited; what waited was read before, what came since is lost.
func (s *Subscription) Next(ctx context.Context) (Update, error) {
	for {
		s.call.lock()
		if len(s.items) > 0 {
			item := s.items[0]
			s.items = s.items[1:]
			s.call.unlock()
			return item, nil
		}
		full, closed := s.full, s.closed
		s.call.unlock()
		if full {
			return Update{}, queueFull("the queue of updates", fmt.Sprint(s.most, " updates"), s.call.id)
		}
		if closed {
			return Update{}, io.EOF
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			s.call.lock()
			closed := s.closed || len(s.items) > 0
			s.call.unlock()
			if !closed {
				return Update{}, contextError(ctx)
			}
		}
	}
}

// Close ends it; what waits can still be read.
func (s *Subscription) Close() {
	s.call.lock()
	defer s.call.unlock()
	s.end()
	delete(s.call.subscriptions, s)
}

func (s *Subscription) push(update Update) {
	if s.closed || s.full {
		return
	}
	if len(s.items) >= s.most {
		s.full = true
		delete(s.call.subscriptions, s)
	} else {
		s.items = append(s.items, update)
	}
	s.signal()
}

func (s *Subscription) end() {
	s.closed = true
	s.signal()
}

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
