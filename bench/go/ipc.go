package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// handlers are what a program can be asked. A result has to be something JSON can carry.
type handlers map[string]func(argument json.RawMessage) (any, error)

type question struct {
	ID       int             `json:"id"`
	Command  string          `json:"command"`
	Argument json.RawMessage `json:"argument"`
}

type reply struct {
	ID     int    `json:"id"`
	Result any    `json:"result"`
	Error  string `json:"error,omitempty"`
}

// answerMain tells that the program is ready, then answers each question in a goroutine of its own until the input ends.
func answerMain(known handlers, ready any) error {
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	say := func(line any) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(line)
	}
	say(map[string]any{"ready": ready})
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var q question
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			return fmt.Errorf("not a question: %w", err)
		}
		go func() {
			handler, ok := known[q.Command]
			if !ok {
				say(reply{ID: q.ID, Error: "no such command: " + q.Command})
				return
			}
			result, err := handler(q.Argument)
			if err != nil {
				say(reply{ID: q.ID, Error: err.Error()})
				return
			}
			say(reply{ID: q.ID, Result: result})
		}()
	}
	return in.Err()
}
