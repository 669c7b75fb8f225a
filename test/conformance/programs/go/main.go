// Command callweave-conformance is the Go program of the conformance suite. Its protocol is in docs/new-language.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"callweave.dev/go"
)

// fields is a line as it is printed.
type fields map[string]any

var printing sync.Mutex

// say prints a line, at once.
func say(line fields) {
	text, err := json.Marshal(line)
	if err != nil {
		text, _ = json.Marshal(fields{"event": "error", "reason": "PROGRAM", "message": err.Error()})
	}
	printing.Lock()
	defer printing.Unlock()
	_, _ = os.Stdout.Write(append(text, '\n'))
}

// told is an error as the protocol writes it.
func told(err error) fields {
	var known *callweave.Error
	if !errors.As(err, &known) {
		return fields{"reason": "PROGRAM", "message": err.Error(), "metadata": fields{}}
	}
	return fields{"reason": known.Reason, "message": known.Message, "metadata": known.Metadata}
}

// program is what there is between start and stop.
type program struct {
	mu      sync.Mutex
	agent   *callweave.Agent
	calls   map[string]*callweave.Call
	clients []*callweave.Client
	ctx     context.Context
	cancel  context.CancelFunc
}

func (p *program) fresh() {
	p.calls = map[string]*callweave.Call{}
	p.clients = nil
	p.agent = nil
	p.ctx, p.cancel = context.WithCancel(context.Background())
}

// stop makes it as fresh as at its start.
func (p *program) stop() {
	p.mu.Lock()
	agent, clients, cancel := p.agent, p.clients, p.cancel
	p.fresh()
	p.mu.Unlock()
	if agent != nil {
		_ = agent.Close()
	}
	cancel()
	for _, client := range clients {
		client.Close()
	}
}

// call is a call of the agent, also one that is over.
func (p *program) call(id string) (*callweave.Call, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if call := p.calls[id]; call != nil {
		return call, nil
	}
	return nil, fmt.Errorf("there is no call %s", id)
}

// client is a client without a seat.
func (p *program) client(a *arguments) (*callweave.Client, context.Context, error) {
	client, err := callweave.Connect(callweave.ConnectionOptions{Endpoints: a.Endpoints, Token: a.Token})
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.clients = append(p.clients, client)
	}
	return client, p.ctx, err
}

// obey lets a command run beside the others. A mark is set before it returns, so that it has its place before what is told
// next.
func (p *program) obey(line []byte) {
	a := &arguments{}
	if err := json.Unmarshal(line, a); err != nil {
		say(fields{"event": "error", "reason": "PROGRAM", "message": err.Error()})
		return
	}
	work := p.do
	if a.Do == "mark" {
		mark, err := p.mark(a)
		work = func(*arguments) (fields, error) {
			if err != nil {
				return nil, err
			}
			end, err := mark.Wait(context.Background())
			return fields{"end": end}, err
		}
	}
	go func() {
		value, err := work(a)
		answer(a.ID, value, err)
	}()
}

// answer prints what became of a command.
func answer(id json.RawMessage, value fields, err error) {
	switch {
	case err != nil:
		say(fields{"id": id, "ok": false, "error": told(err)})
	case value == nil:
		say(fields{"id": id, "ok": true, "value": fields{}})
	default:
		say(fields{"id": id, "ok": true, "value": value})
	}
}

func main() {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	p := &program{}
	p.fresh()
	go func() {
		<-terminated
		p.mu.Lock()
		agent := p.agent
		p.mu.Unlock()
		if agent != nil {
			_ = agent.Drain(context.Background())
		}
		os.Exit(0)
	}()
	say(fields{"event": "hello", "protocol": 1, "language": "go"})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		line := append([]byte(nil), lines.Bytes()...)
		var command struct{ Do string }
		if json.Unmarshal(line, &command) == nil && command.Do == "exit" {
			break
		}
		p.obey(line)
	}
	p.stop()
}
