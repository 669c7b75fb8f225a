package callweave

import (
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
)

// After says when a command takes effect, and what an interrupt does to it while it waits. The zero value: at once, for
// Escalate when all audio was heard.
type After struct {
	// AfterNow, AfterDrained or AfterMark. With Mark set it may be left out.
	Condition pb.AfterCondition
	// The name of a mark of this call, 1 to 100 characters.
	Mark string
	// How long to wait for that at most, from when the gateway has the command. 100 ms to 120 s. Default: 15 s, or the
	// queued playback plus 5 s if that is longer. Passed: AFTER_DEADLINE, nothing was done.
	Deadline time.Duration
	// What Clear does to the waiting command. Default: InterruptCancels, for Escalate InterruptProceeds.
	OnInterrupt pb.OnInterrupt
}

// Drained is the After of a command that waits until all audio played before it was heard.
func Drained() After { return After{Condition: AfterDrained} }

// ConnectOptions are the options of connecting the original callee.
type ConnectOptions struct {
	// Makes a repetition safe: the same id with the same body answers with the first result. Default: a UUID.
	RequestID string
	// When. Default: at once.
	After After
	// How long to ring. Whole seconds, 1 s to 120 s. Default: 60 s.
	RingTime time.Duration
}

// PoolTarget offers an escalated call to a pool of human agents.
type PoolTarget struct {
	// The name of the pool.
	Pool string
	// How long to offer it there. 1 s to 600 s. Default: 30 s.
	Wait time.Duration
	// If nobody accepts, the original callee rings then.
	ThenCallee bool
	// How long it rings then. Whole seconds, 1 s to 120 s. Default: 60 s.
	RingTime time.Duration
}

// EscalateOptions are the options of an escalation. Reason is required.
type EscalateOptions struct {
	// Makes a repetition safe. Default: a UUID.
	RequestID string
	// When to begin ringing. Default: when all audio was heard, and an interrupt lets it go ahead.
	After After
	// Why.
	Reason pb.EscalationReason
	// What the human reads: three sentences, at most 2,000 characters. Default: keeps the context's.
	Summary string
	// Who wrote the summary. Default: a model.
	SummarySource pb.SummarySource
	// A symbolic hint for the human side, at most 100 characters: "billing".
	RoutingHint string
	// Merged into the context's data, key by key; values as structpb.NewStruct takes them.
	Data map[string]any
	// How long the original callee rings, without Pool. Whole seconds, 1 s to 120 s. Default: 60 s.
	RingTime time.Duration
	// Offers the call to a pool in the place of ringing the original callee.
	Pool *PoolTarget
	// Who accepts on the human side before the agent leaves. Default: nobody, pick-up is enough; a voicemail then counts as
	// a person.
	Confirm pb.EscalationConfirm
	// How long to wait for that. 1 s to 120 s. Default: 20 s.
	ConfirmTimeout time.Duration
	// What the agent leg does then: leave, or stay as a silent spy with an empty seat. Default: leave.
	Then pb.EscalationThen
	// What the caller hears meanwhile. Default: hold audio.
	WhileRinging pb.WhileRinging
	// What happens when the context cannot be saved in time. Default: connect anyway.
	OnContextFailure pb.OnContextFailure
	// How long the save may hold up the ringing. 100 ms to 10 s. Default: 1.5 s.
	SaveTimeout time.Duration
}

// TransferOptions are the options of a transfer: to a Pool or to an InstanceID.
type TransferOptions struct {
	// Makes a repetition safe. Default: a UUID.
	RequestID string
	// When to begin offering. Default: at once.
	After After
	// Any agent of this pool.
	Pool string
	// One agent process.
	InstanceID string
	// How long to offer it. 1 s to 600 s. Default: 30 s.
	OfferTime time.Duration
}

// CloseOptions are the options of leaving.
type CloseOptions struct {
	// Makes a repetition safe. Default: a UUID.
	RequestID string
	// When. Default: at once.
	After After
	// Must be true in ANSWERED, where leaving ends the call.
	EndCall bool
}

// DisconnectOptions are the options of ending the call for everyone.
type DisconnectOptions struct {
	// Makes a repetition safe. Default: a UUID.
	RequestID string
	// When. Default: at once.
	After After
}

// VerbOption is an option of the commands that have no options struct.
type VerbOption func(*verbOptions)

type verbOptions struct{ requestID string }

// WithRequestID makes a repetition safe: the same id with the same body answers with the first result.
func WithRequestID(id string) VerbOption {
	return func(o *verbOptions) { o.requestID = id }
}

func requestIDOf(options []VerbOption) string {
	var o verbOptions
	for _, option := range options {
		option(&o)
	}
	return o.requestID
}

func (a After) wire() (*pb.After, error) {
	if a == (After{}) {
		return nil, nil
	}
	if a.Mark != "" && a.Condition == pb.AfterCondition_AFTER_CONDITION_UNSPECIFIED {
		a.Condition = AfterMark
	}
	if count := len([]rune(a.Mark)); a.Condition == AfterMark && (count < 1 || count > 100) {
		return nil, invalidField("After.Mark", "1 to 100 characters", a.Mark)
	}
	return &pb.After{Condition: a.Condition, Mark: a.Mark, Deadline: duration(a.Deadline), OnInterrupt: a.OnInterrupt}, nil
}

func duration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func ringTime(d time.Duration) (*durationpb.Duration, error) {
	if d != 0 && (d%time.Second != 0 || d < time.Second || d > 120*time.Second) {
		return nil, invalidField("RingTime", "whole seconds from 1 to 120", d)
	}
	return duration(d), nil
}

func (o ConnectOptions) wire(callID string) (*pb.ConnectCallRequest, error) {
	after, err := o.After.wire()
	if err != nil {
		return nil, err
	}
	ring, err := ringTime(o.RingTime)
	return &pb.ConnectCallRequest{CallId: callID, RequestId: o.RequestID, RingDuration: ring, After: after}, err
}

func (o EscalateOptions) wire(callID string) (*pb.EscalateCallRequest, error) {
	after, err := o.After.wire()
	if err != nil {
		return nil, err
	}
	// Without a condition a deadline or interrupt rule still belongs to the default condition of an escalation.
	if after != nil && after.Condition == pb.AfterCondition_AFTER_CONDITION_UNSPECIFIED {
		after.Condition = AfterDrained
		if after.OnInterrupt == pb.OnInterrupt_ON_INTERRUPT_UNSPECIFIED {
			after.OnInterrupt = InterruptProceeds
		}
	}
	request := &pb.EscalateCallRequest{
		CallId: callID, RequestId: o.RequestID, Reason: o.Reason, Summary: o.Summary, SummarySource: o.SummarySource,
		RoutingHint: o.RoutingHint, After: after, Confirm: o.Confirm, ConfirmTimeout: duration(o.ConfirmTimeout),
		Then: o.Then, WhileRinging: o.WhileRinging, OnContextFailure: o.OnContextFailure, SaveTimeout: duration(o.SaveTimeout),
	}
	if o.Data != nil {
		if request.Data, err = structpb.NewStruct(o.Data); err != nil {
			return nil, invalidField("Data", "what structpb.NewStruct takes", err)
		}
	}
	if o.Pool == nil {
		ring, err := ringTime(o.RingTime)
		if err != nil {
			return nil, err
		}
		if ring != nil {
			request.Target = &pb.EscalateCallRequest_OriginalCallee{OriginalCallee: &pb.OriginalCalleeTarget{RingDuration: ring}}
		}
		return request, nil
	}
	target := &pb.PoolTarget{Pool: o.Pool.Pool, Wait: duration(o.Pool.Wait)}
	if o.Pool.ThenCallee {
		ring, err := ringTime(o.Pool.RingTime)
		if err != nil {
			return nil, err
		}
		target.ThenOriginalCallee = &pb.OriginalCalleeTarget{RingDuration: ring}
	}
	request.Target = &pb.EscalateCallRequest_Pool{Pool: target}
	return request, nil
}

func (o TransferOptions) wire(callID string) (*pb.TransferCallRequest, error) {
	after, err := o.After.wire()
	if err != nil {
		return nil, err
	}
	request := &pb.TransferCallRequest{CallId: callID, RequestId: o.RequestID, After: after, OfferDuration: duration(o.OfferTime)}
	if (o.Pool == "") == (o.InstanceID == "") {
		return nil, invalidField("TransferOptions", "either a Pool or an InstanceID", o.Pool+o.InstanceID)
	}
	if o.Pool != "" {
		request.To = &pb.TransferCallRequest_Pool{Pool: o.Pool}
	} else {
		request.To = &pb.TransferCallRequest_InstanceId{InstanceId: o.InstanceID}
	}
	return request, nil
}

func (o CloseOptions) wire(callID string) (*pb.CloseCallRequest, error) {
	after, err := o.After.wire()
	return &pb.CloseCallRequest{CallId: callID, RequestId: o.RequestID, EndCall: o.EndCall, After: after}, err
}

func (o DisconnectOptions) wire(callID string) (*pb.DisconnectCallRequest, error) {
	after, err := o.After.wire()
	return &pb.DisconnectCallRequest{CallId: callID, RequestId: o.RequestID, After: after}, err
}

// afterOf is the condition of a command; has tells whether the command can have one.
func afterOf(command *pb.Command) (after *pb.After, has bool) {
	switch verb := command.GetVerb().(type) {
	case *pb.Command_Connect:
		return verb.Connect.GetAfter(), true
	case *pb.Command_Escalate:
		return verb.Escalate.GetAfter(), true
	case *pb.Command_Transfer:
		return verb.Transfer.GetAfter(), true
	case *pb.Command_Close:
		return verb.Close.GetAfter(), true
	case *pb.Command_Disconnect:
		return verb.Disconnect.GetAfter(), true
	default:
		return nil, false
	}
}

// waitsForPlayback tells whether the command has to keep its place behind the audio of its call.
func waitsForPlayback(command *pb.Command) bool {
	after, has := afterOf(command)
	if has && after.GetCondition() == pb.AfterCondition_AFTER_CONDITION_UNSPECIFIED {
		return command.GetEscalate() != nil
	}
	return has && after.GetCondition() != AfterNow
}

// proceedsOnInterrupt tells whether Clear lets the command go ahead.
func proceedsOnInterrupt(command *pb.Command) bool {
	after, has := afterOf(command)
	if has && after.GetOnInterrupt() == pb.OnInterrupt_ON_INTERRUPT_UNSPECIFIED {
		return command.GetEscalate() != nil
	}
	return !has || after.GetOnInterrupt() == InterruptProceeds
}
