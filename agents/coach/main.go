// Command coach connects caller and callee, stays as a spy, and whispers a hint to the callee when a phrase falls.
package main

import (
	"bufio"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"time"

	"callweave.dev/go"
)

//go:embed spot.py
var spotter string

type coach struct {
	phrase, threshold, python string
	hint                      []byte
	pause                     time.Duration
}

func main() {
	var c coach
	pool := flag.String("pool", "default", "the pool to take calls from")
	capacity := flag.Int("capacity", 10, "calls at a time, 1 to 1,000; each has a recogniser of about 60 MB")
	hint := flag.String("hint", "hint.raw", "what is whispered: a file of s16le, mono, 16 kHz")
	flag.StringVar(&c.phrase, "phrase", "cancel my contract", "what to listen for, in English")
	flag.StringVar(&c.threshold, "threshold", "1e-20", "of the recogniser, 1e-50 (hears it often) to 1 (seldom)")
	flag.DurationVar(&c.pause, "pause", 20*time.Second, "so long after a hint no other is given")
	flag.StringVar(&c.python, "python", cmp.Or(os.Getenv("CALLWEAVE_PYTHON"), "python3"), "a Python with pocketsphinx")
	flag.Parse()
	var err error
	if c.hint, err = os.ReadFile(*hint); err != nil {
		log.Fatal(err)
	}
	err = callweave.Serve(callweave.AgentOptions{
		AgentID: "coach", Pool: *pool, Capacity: *capacity, AudioFormat: callweave.Format(16_000),
		ManualAnswer:   true,             // The callee answers, not the coach.
		MaxAudioQueued: 30 * time.Second, // The recogniser takes a moment to start.
	}, c.handle)
	if err != nil {
		log.Fatal(err)
	}
}

// handle connects the call and listens until it is over.
func (c *coach) handle(ctx context.Context, call *callweave.Call) error {
	err := call.Connect(ctx, callweave.ConnectOptions{})
	if errors.Is(err, callweave.CalleeUnanswered) {
		return call.Disconnect(ctx, callweave.DisconnectOptions{})
	} else if err != nil {
		return err
	}
	if err := call.SetMode(ctx, callweave.Spy); err != nil {
		return err
	}
	heard, err := c.listen(ctx, call)
	if err != nil {
		return err
	}
	var last time.Time
	for range heard {
		if !last.IsZero() && time.Since(last) < c.pause {
			continue
		}
		if err := c.whisper(ctx, call); err != nil {
			return err
		}
		last = time.Now()
	}
	return nil
}

// listen gives a value each time the phrase falls; the channel is closed when the recogniser has ended. Phrases that fall
// during a hint are forgotten.
func (c *coach) listen(ctx context.Context, call *callweave.Call) (<-chan struct{}, error) {
	recogniser := exec.CommandContext(ctx, c.python, "-c", spotter, c.phrase, c.threshold)
	recogniser.Stdin = call.Audio()
	recogniser.Stderr = os.Stderr
	output, err := recogniser.StdoutPipe()
	if err = cmp.Or(err, recogniser.Start()); err != nil {
		return nil, fmt.Errorf("the recogniser does not start: %w", err)
	}
	heard := make(chan struct{}, 1)
	go func() {
		defer close(heard)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			select {
			case heard <- struct{}{}:
			default:
			}
		}
		if err := recogniser.Wait(); err != nil && ctx.Err() == nil {
			log.Printf("call %s: the recogniser ended, nobody listens any more: %v", call.ID(), err)
		}
	}()
	return heard, nil
}

// whisper says the hint to the callee alone.
func (c *coach) whisper(ctx context.Context, call *callweave.Call) error {
	if err := call.SetMode(ctx, callweave.Whisper); err != nil {
		return err
	}
	if _, err := call.Play(ctx, c.hint); err != nil {
		return err
	}
	if _, err := call.Drained(ctx); err != nil {
		return err
	}
	return call.SetMode(ctx, callweave.Spy)
}
