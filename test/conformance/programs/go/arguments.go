package main

import (
	"encoding/json"
	"fmt"
	"time"

	"callweave.dev/go"
	pb "callweave.dev/go/callweave/v1"
)

// arguments are those of all commands.
type arguments struct {
	ID   json.RawMessage
	Do   string
	Call string

	Endpoints                                             []string
	AgentID, Token, Pool, InstanceID, Decline, Handler    string
	CaFile, CertFile, KeyFile, TokenFile                  string
	TLS, NoAudio                                          bool
	AnswerOnAccept, Heartbeat                             *bool
	Capacity, SampleRateHertz, MaxStreams, CallsPerStream int
	SendAheadMs, MaxAudioQueuedMs, MaxPlaybackQueuedMs    int
	ReattachTimeoutMs                                     int
	File, Name, Mode, RequestID, OnInterrupt, Caller      string
	PieceBytes, AfterDeadlineMs, OfferMs                  int
	RingTimeSeconds                                       *int
	KeepBackMs                                            *int
	After                                                 json.RawMessage
	Reason, Summary, RoutingHint                          string
	Confirm, Then, WhileRinging, OnContextFailure         string
	ConfirmTimeoutMs, SaveTimeoutMs                       int
	Data                                                  map[string]any
	EndCall                                               bool
	To                                                    struct{ Pool, InstanceID string }
	Turns                                                 []struct{ ID, Role, Text string }
	Target                                                struct {
		Pool   string
		WaitMs int
		Callee struct{ RingTimeSeconds *int }
	}
}

// ringTime is 0 for the client's default. A ring time of 0 seconds cannot be said in Go: any other that is too short is
// refused just so.
func ringTime(seconds *int) time.Duration {
	switch {
	case seconds == nil:
		return 0
	case *seconds == 0:
		return -time.Second
	default:
		return time.Duration(*seconds) * time.Second
	}
}

func ms(count int) time.Duration { return time.Duration(count) * time.Millisecond }

// inMs is a time as the protocol writes it.
func inMs(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// enum is the value of a name of the contract without its prefix; 0 for none.
func enum[E ~int32](values map[string]int32, prefix, name string) (E, error) {
	if name == "" {
		return 0, nil
	}
	value, ok := values[prefix+name]
	if !ok {
		return 0, fmt.Errorf("there is no %s%s", prefix, name)
	}
	return E(value), nil
}

func (a *arguments) after() (callweave.After, error) {
	interrupt, err := enum[pb.OnInterrupt](pb.OnInterrupt_value, "ON_INTERRUPT_", a.OnInterrupt)
	after := callweave.After{Deadline: ms(a.AfterDeadlineMs), OnInterrupt: interrupt}
	if err != nil || len(a.After) == 0 {
		return after, err
	}
	var word string
	var at struct{ Mark string }
	switch {
	case json.Unmarshal(a.After, &word) == nil && word == "now":
		after.Condition = callweave.AfterNow
	case word == "drained":
		after.Condition = callweave.AfterDrained
	case json.Unmarshal(a.After, &at) == nil:
		after.Condition, after.Mark = callweave.AfterMark, at.Mark
	default:
		return after, fmt.Errorf("after: %s", a.After)
	}
	return after, nil
}

func (a *arguments) escalation() (callweave.EscalateOptions, error) {
	var errs [7]error
	o := callweave.EscalateOptions{
		RequestID: a.RequestID, Summary: a.Summary, RoutingHint: a.RoutingHint, Data: a.Data,
		ConfirmTimeout: ms(a.ConfirmTimeoutMs), SaveTimeout: ms(a.SaveTimeoutMs),
		RingTime: ringTime(a.Target.Callee.RingTimeSeconds),
	}
	o.After, errs[0] = a.after()
	o.Reason, errs[1] = enum[pb.EscalationReason](pb.EscalationReason_value, "ESCALATION_REASON_", a.Reason)
	o.Confirm, errs[2] = enum[pb.EscalationConfirm](pb.EscalationConfirm_value, "ESCALATION_CONFIRM_", a.Confirm)
	o.Then, errs[3] = enum[pb.EscalationThen](pb.EscalationThen_value, "ESCALATION_THEN_", a.Then)
	o.WhileRinging, errs[4] = enum[pb.WhileRinging](pb.WhileRinging_value, "WHILE_RINGING_", a.WhileRinging)
	o.OnContextFailure, errs[5] = enum[pb.OnContextFailure](pb.OnContextFailure_value, "ON_CONTEXT_FAILURE_", a.OnContextFailure)
	if a.Target.Pool != "" {
		o.Pool = &callweave.PoolTarget{Pool: a.Target.Pool, Wait: ms(a.Target.WaitMs)}
	}
	for _, err := range errs {
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

func (a *arguments) turns() (made []*pb.Turn, err error) {
	for _, turn := range a.Turns {
		role, err := enum[pb.TurnRole](pb.TurnRole_value, "TURN_ROLE_", turn.Role)
		if err != nil {
			return nil, err
		}
		made = append(made, &pb.Turn{Id: turn.ID, Role: role, Text: turn.Text})
	}
	return made, nil
}
