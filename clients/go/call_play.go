package callweave

import (
	"context"
	"errors"
	"io"
	"slices"

	pb "callweave.dev/go/callweave/v1"
)

// Play plays audio in the agreed format after what was played before. It returns when all of it is with the gateway, about
// SendAhead before its end is heard; use Mark or Drained to know when it was heard. QueueFull, taking nothing: more than
// MaxPlaybackQueued would wait. When ctx ends first, the audio is still played.
func (c *Call) Play(ctx context.Context, pcm []byte) (PlayEnd, error) {
	ends, err := c.queueAudio(pcm)
	if err != nil {
		return "", err
	}
	return c.playEnd(ctx, ends)
}

// Queue plays audio as Play does, without waiting for it to be with the gateway.
func (c *Call) Queue(pcm []byte) error {
	_, err := c.queueAudio(pcm)
	return err
}

func (c *Call) queueAudio(pcm []byte) (<-chan PlayEnd, error) {
	copied := slices.Clone(pcm)
	c.lock()
	defer c.unlock()
	return c.player.play(copied)
}

func (c *Call) playEnd(ctx context.Context, ends <-chan PlayEnd) (PlayEnd, error) {
	select {
	case end, ok := <-ends:
		if ok {
			return end, nil
		}
		return "", c.overError()
	case <-ctx.Done():
		return "", c.errorOf(ctx)
	}
}

// PlayFrom plays what it reads, only as fast as it is heard, until io.EOF. What is played meanwhile waits behind it. It
// returns when all is with the gateway, when Clear dropped it, or with the error of the reader. A Read that blocks holds up
// nothing but this return.
func (c *Call) PlayFrom(ctx context.Context, reader io.Reader) (PlayEnd, error) {
	generation, end, err := c.takeTurn(ctx)
	if err != nil || end != "" {
		return end, err
	}
	last, err := c.copyFrom(ctx, reader, generation)
	c.lock()
	cleared := generation != c.player.generation
	if !cleared {
		c.player.nextDeferred()
	}
	c.unlock()
	switch {
	case c.isOver():
		return "", c.overError()
	case err != nil:
		return "", err
	case cleared:
		return PlayCleared, nil
	case last == nil:
		return PlaySent, nil
	default:
		return c.playEnd(ctx, last)
	}
}

// takeTurn waits until all PlayFrom before is at its end. Cleared meanwhile: the end is told.
func (c *Call) takeTurn(ctx context.Context) (generation int, end PlayEnd, err error) {
	p := &c.player
	turn := make(chan bool, 1)
	abandoned := false
	c.lock()
	if p.over != nil {
		c.unlock()
		return 0, "", p.over
	}
	p.inOrder(deferred{
		run: func() {
			if abandoned {
				return
			}
			p.streaming = true
			generation = p.generation
			turn <- true
		},
		clear: func() string { turn <- false; return "" },
	})
	c.unlock()
	var mine bool
	select {
	case mine = <-turn:
	case <-ctx.Done():
		c.lock()
		abandoned = true
		select {
		case mine = <-turn:
			if mine && generation == p.generation {
				p.nextDeferred()
			}
		default:
		}
		c.unlock()
		return 0, "", c.errorOf(ctx)
	}
	if mine {
		return generation, "", nil
	}
	if c.isOver() {
		return 0, "", c.overError()
	}
	return 0, PlayCleared, nil
}

// copyFrom queues what it reads; a little is kept ready, so that the stream never waits for the reader.
func (c *Call) copyFrom(ctx context.Context, reader io.Reader, generation int) (last <-chan PlayEnd, err error) {
	p := &c.player
	buffer := make([]byte, max(2, bytesOf(c.format, maxItem)))
	for {
		c.lock()
		for generation == p.generation && p.queue.waiting+maxItem > min(c.s.options.SendAhead, p.queue.maxQueued) && p.queue.waiting > 0 {
			room := p.roomWaiter()
			c.unlock()
			select {
			case <-room:
			case <-ctx.Done():
				return last, c.errorOf(ctx)
			}
			c.lock()
		}
		cleared := generation != p.generation
		c.unlock()
		if cleared {
			return last, nil
		}
		n, err := reader.Read(buffer)
		if n > 0 {
			ends := make(chan PlayEnd, 1)
			c.lock()
			if generation != p.generation {
				c.unlock()
				return last, nil
			}
			p.queue.pushAudio(slices.Clone(buffer[:n]), func() {
				switch {
				case p.over != nil:
					close(ends)
				case generation == p.generation:
					ends <- PlaySent
				default:
					ends <- PlayCleared
				}
			})
			p.kick()
			c.unlock()
			last = ends
		}
		if errors.Is(err, io.EOF) {
			return last, nil
		} else if err != nil {
			return last, err
		}
		if ctx.Err() != nil {
			return last, c.errorOf(ctx)
		}
	}
}

// Mark sets a mark behind the audio until now. Its name has 1 to 100 characters and may repeat; an empty one is made up. At
// most MaxMarks wait, then QueueFull.
func (c *Call) Mark(name string) (*Mark, error) {
	c.lock()
	defer c.unlock()
	return c.player.mark(c, name)
}

// Wait returns how the mark was reached.
func (m *Mark) Wait(ctx context.Context) (MarkEnd, error) {
	select {
	case <-m.over:
		return m.end, nil
	case <-ctx.Done():
		if end := m.End(); end != "" {
			return end, nil
		}
		return "", contextError(ctx)
	}
}

// Drained returns when all audio until now was heard, or dropped.
func (c *Call) Drained(ctx context.Context) (MarkEnd, error) {
	mark, err := c.Mark("")
	if err != nil {
		return "", err
	}
	return mark.Wait(ctx)
}

// Clear interrupts: it drops all audio until now, here, in the gateway and at the provider, and tells what was not heard.
func (c *Call) Clear(ctx context.Context) (ClearResult, error) {
	answer := make(chan *pb.PlaybackCleared, 1)
	c.lock()
	if c.over {
		c.unlock()
		return ClearResult{}, c.overError()
	}
	dropped, proceed := c.player.clear()
	if c.stream == nil {
		// Without a stream the gateway has cut the playback itself.
		c.player.endForgottenMarks()
		answer <- nil
	} else {
		c.clears = append(c.clears, answer)
		c.stream.send(&pb.AgentItem{Item: &pb.AgentItem_ClearPlayback{ClearPlayback: &pb.ClearPlayback{Handle: c.handle}}})
	}
	for _, id := range proceed {
		c.sendCommand(id)
	}
	c.unlock()
	select {
	case cleared := <-answer:
		return ClearResult{
			Dropped:          dropped + cleared.GetDroppedLocal().AsDuration(),
			EstimatedUnheard: cleared.GetEstimatedUnheardAtProvider().AsDuration(),
			Played:           cleared.GetPlayed().AsDuration(),
		}, nil
	case <-ctx.Done():
		return ClearResult{Dropped: dropped}, c.errorOf(ctx)
	}
}

func (c *Call) isOver() bool {
	c.lock()
	defer c.unlock()
	return c.over
}

func (c *Call) overError() *Error { return callOver(c.id, string(c.End().Cause)) }

// errorOf tells why ctx ended: by the end of the call, if that is over.
func (c *Call) errorOf(ctx context.Context) *Error {
	if c.isOver() {
		return c.overError()
	}
	return contextError(ctx)
}
