package callweave

import (
	"fmt"
	"slices"
	"time"
)

// MarkEnd says whether what a mark or Play waited for was heard, or dropped.
type MarkEnd string

const (
	// Played: all audio before was heard, by the gateway's clock.
	Played MarkEnd = "PLAYED"
	// Cleared: it was dropped by Clear or by the end of the call.
	Cleared MarkEnd = "CLEARED"
)

// PlayEnd says how audio was handed over.
type PlayEnd string

const (
	// PlaySent: all of it is with the gateway.
	PlaySent PlayEnd = "SENT"
	// PlayCleared: Clear dropped it before.
	PlayCleared PlayEnd = "CLEARED"
)

// Mark is set behind the audio played before it.
type Mark struct {
	call *Call
	name string
	sent bool
	over chan struct{}
	end  MarkEnd
}

// Name is the name as it was given, or the one that was made.
func (m *Mark) Name() string { return m.name }

// Done is closed when the mark was reached or dropped; End then says which.
func (m *Mark) Done() <-chan struct{} { return m.over }

// End is how the mark was reached; empty while Done is open.
func (m *Mark) End() MarkEnd {
	select {
	case <-m.over:
		return m.end
	default:
		return ""
	}
}

// deferred has to wait until what PlayFrom reads was played to its end.
type deferred struct {
	run func()
	// Clear met it. Gives the request id of the command that goes ahead, if it is one that does.
	clear func() string
}

// player is the audio that the agent says in one call: buffers and readers in order, marks and waiting commands among
// them. Everything in it runs under the lock of the session.
type player struct {
	queue     playbackQueue
	callID    string
	maxMarks  int
	kick      func()
	interrupt func(requestID string) bool

	marks      map[string]*Mark
	markOrder  []string
	nextID     int
	generation int
	streaming  bool
	deferred   []deferred
	waiting    time.Duration
	aheadLost  time.Duration
	room       chan struct{}
	over       *Error
}

// changed wakes whoever waits for room or for the end.
func (p *player) changed() {
	if p.room != nil {
		close(p.room)
		p.room = nil
	}
}

// roomWaiter is closed at the next change.
func (p *player) roomWaiter() <-chan struct{} {
	if p.room == nil {
		p.room = make(chan struct{})
	}
	return p.room
}

// play queues audio; the end arrives in the channel.
func (p *player) play(pcm []byte) (<-chan PlayEnd, error) {
	if p.over != nil {
		return nil, p.over
	}
	length := p.queue.lengthOf(len(pcm))
	if p.queue.waiting+p.waiting+length > p.queue.maxQueued {
		return nil, p.full()
	}
	ends := make(chan PlayEnd, 1)
	if len(pcm) == 0 {
		ends <- PlaySent
		return ends, nil
	}
	generation := p.generation
	settle := func() {
		if p.over != nil {
			close(ends)
		} else if generation == p.generation {
			ends <- PlaySent
		} else {
			ends <- PlayCleared
		}
	}
	p.waiting += length
	p.inOrder(deferred{
		run: func() {
			p.waiting = max(0, p.waiting-length)
			p.queue.pushAudio(pcm, settle)
			p.kick()
		},
		clear: func() string { settle(); return "" },
	})
	return ends, nil
}

func (p *player) full() *Error {
	return queueFull("the playback queue of the call", p.queue.maxQueued.String(), p.callID)
}

// mark sets a mark behind the audio until now.
func (p *player) mark(call *Call, name string) (*Mark, error) {
	if p.over != nil {
		return nil, p.over
	}
	id := fmt.Sprint("m", p.nextID)
	p.nextID++
	if name == "" {
		name = "~" + id
	}
	if count := len([]rune(name)); count > 100 {
		return nil, invalidField("mark", "1 to 100 characters", name)
	}
	if len(p.marks) >= p.maxMarks {
		return nil, queueFull("the list of waiting marks", fmt.Sprint(p.maxMarks, " marks"), p.callID)
	}
	made := &Mark{call: call, name: name, over: make(chan struct{})}
	p.marks[id] = made
	p.markOrder = append(p.markOrder, id)
	p.inOrder(deferred{
		run:   func() { p.queue.pushMarker(marker{'m', id}); p.kick() },
		clear: func() string { p.endMark(id, Cleared); return "" },
	})
	return made, nil
}

// command puts a command behind the audio until now.
func (p *player) command(requestID string) {
	p.inOrder(deferred{
		run: func() { p.queue.pushMarker(marker{'c', requestID}); p.kick() },
		clear: func() string {
			if p.interrupt(requestID) {
				return requestID
			}
			return ""
		},
	})
}

// onMarkReached: the gateway told. A name may repeat: the oldest that was sent is meant.
func (p *player) onMarkReached(name string, end MarkEnd) {
	for _, id := range p.markOrder {
		if mark := p.marks[id]; mark.sent && mark.name == name {
			if end == Played {
				p.queue.onMarkPlayed(marker{'m', id})
			}
			p.endMark(id, end)
			p.kick()
			return
		}
	}
}

// onMarkRefused: the gateway refused a mark, the oldest that it has.
func (p *player) onMarkRefused() {
	for _, id := range p.markOrder {
		if p.marks[id].sent {
			p.endMark(id, Cleared)
			return
		}
	}
}

// clear interrupts. It gives what was dropped here and the commands that go ahead, to be sent after the ClearPlayback.
func (p *player) clear() (dropped time.Duration, proceed []string) {
	p.generation++
	dropped, markers := p.queue.clear()
	for _, m := range markers {
		if m.kind == 'm' {
			p.endMark(m.id, Cleared)
		} else if p.interrupt(m.id) {
			proceed = append(proceed, m.id)
		}
	}
	waiting := p.deferred
	dropped += p.waiting
	p.deferred = nil
	p.waiting = 0
	p.streaming = false
	for _, d := range waiting {
		if id := d.clear(); id != "" {
			proceed = append(proceed, id)
		}
	}
	p.changed()
	return dropped, proceed
}

// onReattached: the call is on another stream; takenOver: at another gateway. Gives the commands to be sent again in their
// place.
func (p *player) onReattached(at position, takenOver bool) (requeued map[string]bool) {
	var passed, again []marker
	if takenOver {
		passed, again = p.queue.onTakenOver(at, p.aheadLost)
	} else {
		passed, again = p.queue.onReattached(at)
	}
	for _, m := range passed {
		if m.kind == 'm' {
			p.endMark(m.id, Played)
		}
	}
	defer p.endForgottenMarks()
	requeued = map[string]bool{}
	for _, m := range again {
		if m.kind == 'c' {
			requeued[m.id] = true
		} else if mark := p.marks[m.id]; mark != nil {
			mark.sent = false
		}
	}
	return requeued
}

// endForgottenMarks ends marks that were sent and dropped before the stream was lost: their answer was lost with it.
func (p *player) endForgottenMarks() {
	atGateway := map[string]bool{}
	for i := range p.queue.sent {
		atGateway[p.queue.sent[i].marker.id] = true
	}
	for _, id := range slices.Clone(p.markOrder) {
		if p.marks[id].sent && !atGateway[id] {
			p.endMark(id, Cleared)
		}
	}
}

// end: the agent does not have the call any more.
func (p *player) end(over *Error) {
	p.over = over
	p.generation++
	p.queue.clear()
	waiting := p.deferred
	p.deferred = nil
	for _, d := range waiting {
		d.clear()
	}
	for id := range p.marks {
		p.endMark(id, Cleared)
	}
	p.changed()
}

func (p *player) inOrder(d deferred) {
	if p.streaming {
		p.deferred = append(p.deferred, d)
	} else {
		d.run()
	}
}

// nextDeferred: what PlayFrom reads is queued to its end, what waited behind it follows.
func (p *player) nextDeferred() {
	p.streaming = false
	for !p.streaming && len(p.deferred) > 0 {
		d := p.deferred[0]
		p.deferred = p.deferred[1:]
		d.run()
	}
}

func (p *player) endMark(id string, end MarkEnd) {
	mark := p.marks[id]
	if mark == nil {
		return
	}
	delete(p.marks, id)
	for i, other := range p.markOrder {
		if other == id {
			p.markOrder = append(p.markOrder[:i:i], p.markOrder[i+1:]...)
			break
		}
	}
	mark.end = end
	close(mark.over)
}
