package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"callweave.dev/go"
	pb "callweave.dev/go/callweave/v1"
)

// do does what it is told.
func (p *program) do(a *arguments) (fields, error) {
	switch a.Do {
	case "start":
		return p.start(a)
	case "drain":
		p.mu.Lock()
		agent := p.agent
		p.mu.Unlock()
		if agent == nil {
			return nil, nil
		}
		return nil, agent.Drain(context.Background())
	case "stop":
		p.stop()
		return nil, nil
	case "simpleForm":
		return simpleForm(a)
	case "watch", "listen", "readContext", "findContexts":
		return p.observe(a)
	}
	call, err := p.call(a.Call)
	if err != nil {
		return nil, err
	}
	return command(context.Background(), call, a)
}

// mark sets a mark.
func (p *program) mark(a *arguments) (*callweave.Mark, error) {
	call, err := p.call(a.Call)
	if err != nil {
		return nil, err
	}
	return call.Mark(a.Name)
}

// observe does what needs no seat.
func (p *program) observe(a *arguments) (fields, error) {
	client, ctx, err := p.client(a)
	if err != nil {
		return nil, err
	}
	switch a.Do {
	case "watch":
		return nil, watch(ctx, client)
	case "listen":
		listening, err := client.Calls.Listen(ctx, a.Call, callweave.ListenOptions{})
		if err != nil {
			return nil, err
		}
		file, err := newRecorder(a.File, a.Call)
		if err == nil {
			inBackground(a.Call, func() error { return file.run(listening.Next) })
		}
		return nil, err
	case "readContext":
		found, err := client.Contexts.Get(ctx, a.Call)
		return outlined(found), err
	default:
		found, err := client.Contexts.FindByCaller(ctx, a.Caller, callweave.FindOptions{})
		calls := []string{}
		for _, context := range found.GetContexts() {
			calls = append(calls, context.GetCallId())
		}
		return fields{"calls": calls}, err
	}
}

// watch returns when it is live.
func watch(ctx context.Context, client *callweave.Client) error {
	list, err := client.Calls.List(ctx, nil)
	if err != nil {
		return err
	}
	live := make(chan error, 1)
	go func() {
		for item, err := range client.Calls.Watch(ctx, callweave.WatchOptions{Cursor: list.GetCursor()}) {
			if err != nil {
				live <- err
			} else if item.Live {
				live <- nil
			} else {
				e := item.Event
				say(fields{"event": "watched", "call": e.GetCallId(), "type": kindOf(e), "sequence": e.GetSequence()})
			}
		}
	}()
	return <-live
}

// kindOf is the name of an event in the contract, in lowerCamelCase.
func kindOf(event *pb.CallEvent) string {
	if event.GetEvent() == nil {
		return "unknown"
	}
	name := strings.TrimPrefix(reflect.TypeOf(event.GetEvent()).Elem().Name(), "CallEvent_")
	return strings.ToLower(name[:1]) + name[1:]
}

func outlined(c *pb.CallContext) fields {
	value := fields{
		"callId": c.GetCallId(), "status": strings.TrimPrefix(c.GetStatus().String(), "CONTEXT_STATUS_"),
		"summary": c.GetSummary(), "turns": len(c.GetTurns()),
	}
	if count := len(c.GetTurns()); count > 0 {
		value["lastTurn"] = c.GetTurns()[count-1].GetText()
	}
	return value
}

// command does something with a call.
func command(ctx context.Context, call *callweave.Call, a *arguments) (fields, error) {
	id := callweave.WithRequestID(a.RequestID)
	after, err := a.after()
	if err != nil {
		return nil, err
	}
	switch a.Do {
	case "play":
		return play(ctx, call, a)
	case "drained":
		end, err := call.Drained(ctx)
		return fields{"end": end}, err
	case "clear":
		c, err := call.Clear(ctx)
		return fields{"droppedMs": inMs(c.Dropped), "estimatedUnheardMs": inMs(c.EstimatedUnheard), "playedMs": inMs(c.Played)}, err
	case "playback":
		s := call.Playback()
		return fields{"queuedMs": inMs(s.Queued), "aheadMs": inMs(s.Ahead), "playedMs": inMs(s.Played)}, nil
	case "echo":
		keepBack := 300
		if a.KeepBackMs != nil {
			keepBack = *a.KeepBackMs
		}
		inBackground(a.Call, func() error { return echo(ctx, call, keepBack) })
		return nil, nil
	case "record":
		file, err := newRecorder(a.File, a.Call)
		if err == nil {
			inBackground(a.Call, func() error {
				return file.run(func() (callweave.Chunk, error) { return call.Audio().Next(ctx) })
			})
		}
		return nil, err
	case "answer":
		return nil, call.Answer(ctx, id)
	case "connect":
		return nil, call.Connect(ctx, callweave.ConnectOptions{RequestID: a.RequestID, After: after, RingTime: ringTime(a.RingTimeSeconds)})
	case "setMode":
		mode, err := enum[pb.AgentMode](pb.AgentMode_value, "AGENT_MODE_", a.Mode)
		if err != nil {
			return nil, err
		}
		return nil, call.SetMode(ctx, mode, id)
	case "escalate":
		options, err := a.escalation()
		if err != nil {
			return nil, err
		}
		result, err := call.Escalate(ctx, options)
		value := fields{"outcome": strings.TrimPrefix(result.GetOutcome().String(), "ESCALATION_OUTCOME_")}
		if result.GetDurability() != 0 {
			value["durability"] = strings.TrimPrefix(result.GetDurability().String(), "CONTEXT_DURABILITY_")
		}
		return value, err
	case "transfer":
		return nil, call.Transfer(ctx, callweave.TransferOptions{
			RequestID: a.RequestID, After: after, Pool: a.To.Pool, InstanceID: a.To.InstanceID, OfferTime: ms(a.OfferMs),
		})
	case "release":
		return nil, call.Release(ctx, id)
	case "close":
		return nil, call.Close(ctx, callweave.CloseOptions{RequestID: a.RequestID, After: after, EndCall: a.EndCall})
	case "disconnect":
		return nil, call.Disconnect(ctx, callweave.DisconnectOptions{RequestID: a.RequestID, After: after})
	case "appendTurns":
		turns, err := a.turns()
		if err != nil {
			return nil, err
		}
		written, err := call.AppendTurns(ctx, turns...)
		return fields{"turnCount": written.GetTurnCount()}, err
	case "getContext":
		found, err := call.GetContext(ctx)
		return outlined(found), err
	default:
		return nil, fmt.Errorf("unknown command %s", a.Do)
	}
}

func play(ctx context.Context, call *callweave.Call, a *arguments) (fields, error) {
	audio, err := os.ReadFile(a.File)
	if err != nil {
		return nil, err
	}
	var end callweave.PlayEnd
	if a.PieceBytes > 0 {
		end, err = call.PlayFrom(ctx, &pieces{bytes.NewReader(audio), a.PieceBytes})
	} else {
		end, err = call.Play(ctx, audio)
	}
	return fields{"end": end}, err
}

// pieces reads at most so many bytes at a time.
type pieces struct {
	io.Reader
	size int
}

func (p *pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.size)]) }
