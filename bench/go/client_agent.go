package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"sync"
	"time"

	"callweave.dev/go"
)

const (
	sampleRate   = 24_000
	assignedWait = 10 * time.Second
)

// clientAgent is an agent on the client library for Go, as its readers would write it: says back what it hears call by call, a
// chunk at a time, with a mark each second of each call. Can be told to say a whole answer instead, and to interrupt it.
type clientAgent struct {
	counters counters
	mu       sync.Mutex
	calls    map[string]*callweave.Call
	speaking map[string]bool
}

func runClientAgent(arguments []string) error {
	flags := flag.NewFlagSet("client-agent", flag.ContinueOnError)
	capacity := flags.Int("capacity", 1, "calls at a time")
	streams := flags.Int("streams", 1, "streams of the session, each on its own connection")
	if len(arguments) == 0 {
		return fmt.Errorf("client-agent ADDRESS [flags]")
	}
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	a := &clientAgent{calls: map[string]*callweave.Call{}, speaking: map[string]bool{}}
	agent, err := callweave.NewAgent(callweave.AgentOptions{
		ConnectionOptions: callweave.ConnectionOptions{Endpoints: []string{arguments[0]}},
		AgentID:           "bench-client",
		Capacity:          *capacity,
		MaxStreams:        *streams,
		CallsPerStream:    max(1, *capacity / *streams),
		AudioFormat:       callweave.Format(sampleRate),
		KeepAfterReturn:   true,
		OnError:           func(err error, _ string) { a.counters.refuse(err) },
	}, a.echo)
	if err != nil {
		return err
	}
	if err := agent.Start(context.Background()); err != nil {
		return err
	}
	go func() { fatal(fmt.Errorf("the agent ended: %w", agent.Run(context.Background()))) }()
	return answerMain(handlers{
		"counters": func(json.RawMessage) (any, error) { return a.counters.told(), nil },
		"speak":    a.speak,
		"clear":    a.clear,
		"waitFor":  a.waitFor,
	}, nil)
}

func (a *clientAgent) echo(ctx context.Context, call *callweave.Call) error {
	a.mu.Lock()
	a.calls[call.ID()] = call
	a.mu.Unlock()
	frames := 0
	for chunk := range call.Audio().Chunks(ctx) {
		inMs := machineMs()
		if chunk.IsGap() {
			a.counters.Gaps.Add(1)
			continue
		}
		if a.isSpeaking(call.ID()) {
			continue
		}
		a.stamp(chunk.PCM, inMs)
		if _, err := call.Play(ctx, chunk.PCM); err != nil {
			return err
		}
		if frames++; frames%framesPerMark == 0 {
			a.mark(ctx, call)
		}
	}
	return nil
}

func (a *clientAgent) stamp(pcm []byte, inMs float64) {
	if len(pcm)%frameBytes != 0 {
		a.counters.OddFrames.Add(1)
		return
	}
	for at := 0; at < len(pcm); at += frameBytes {
		stampAgent(pcm[at:at+frameBytes], inMs, machineMs())
	}
}

func (a *clientAgent) mark(ctx context.Context, call *callweave.Call) {
	a.counters.MarksSet.Add(1)
	mark, err := call.Mark("")
	if err != nil {
		a.counters.refuse(err)
		return
	}
	go func() {
		if _, err := mark.Wait(ctx); err == nil {
			a.counters.MarksPlayed.Add(1)
		}
	}()
}

func (a *clientAgent) isSpeaking(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.speaking[id]
}

// aboutCalls is what the agent is told to do, `apartMs` from one call to the next.
type aboutCalls struct {
	CallIDs []string `json:"callIds"`
	Seconds int      `json:"seconds"`
	ApartMs int      `json:"apartMs"`
}

func (a *clientAgent) each(argument json.RawMessage, do func(about *aboutCalls, call *callweave.Call)) error {
	var about aboutCalls
	if err := json.Unmarshal(argument, &about); err != nil {
		return err
	}
	for _, id := range about.CallIDs {
		a.mu.Lock()
		call := a.calls[id]
		a.mu.Unlock()
		if call == nil {
			return fmt.Errorf("not assigned: %s", id)
		}
		do(&about, call)
		time.Sleep(time.Duration(about.ApartMs) * time.Millisecond)
	}
	return nil
}

// speak begins a whole answer in each call.
func (a *clientAgent) speak(argument json.RawMessage) (any, error) {
	return nil, a.each(argument, func(about *aboutCalls, call *callweave.Call) {
		a.mu.Lock()
		a.speaking[call.ID()] = true
		a.mu.Unlock()
		go func() {
			whole := make([]byte, about.Seconds*sampleRate*2)
			if _, err := call.Play(context.Background(), whole); err != nil {
				a.counters.refuse(err)
			}
		}()
	})
}

// clear interrupts each call.
func (a *clientAgent) clear(argument json.RawMessage) (any, error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	var failures []error
	times := []map[string]any{}
	err := a.each(argument, func(_ *aboutCalls, call *callweave.Call) {
		sentMs := machineMs()
		all.Go(func() {
			result, err := call.Clear(context.Background())
			mu.Lock()
			defer mu.Unlock()
			failures = append(failures, err)
			times = append(times, map[string]any{
				"callId": call.ID(), "sentMs": sentMs, "answeredMs": machineMs(),
				"droppedMs": float64(result.Dropped) / float64(time.Millisecond),
			})
		})
	})
	all.Wait()
	return times, errors.Join(append(failures, err)...)
}

func (a *clientAgent) waitFor(argument json.RawMessage) (any, error) {
	var about aboutCalls
	if err := json.Unmarshal(argument, &about); err != nil {
		return nil, err
	}
	return true, until(func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, id := range about.CallIDs {
			if a.calls[id] == nil {
				return false
			}
		}
		return true
	}, "the calls of the agent", assignedWait)
}
