package callweave

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Reason says why something was refused. It is stable: programs look at this. A gateway gives the names of ErrorReason in
// the contract without their prefix, such as "CALL_STATE"; the constants here are those that this library gives itself and
// those that agents meet most. A Reason is also an error, so that errors.Is(err, callweave.CallOver) works.
type Reason string

// Error is the name.
func (r Reason) Error() string { return string(r) }

// Reasons that this library gives.
const (
	// CallOver: the call ended or its seat went to somebody else. Metadata: call_id, cause.
	CallOver Reason = "CALL_OVER"
	// Closed: the agent or client was closed.
	Closed Reason = "CLOSED"
	// QueueFull: a queue of this library is full. Metadata: queue, max.
	QueueFull Reason = "QUEUE_FULL"
	// Transport: no reason came from a gateway: not reachable, deadline passed, stream broken, no gateway at all. See Code.
	Transport Reason = "TRANSPORT"
	// ContextDone: the context of the request ended first; errors.Is tells which way (context.Canceled …).
	ContextDone Reason = "CONTEXT_DONE"
	// HandlerPanicked: a function of the program panicked; the message has the stack.
	HandlerPanicked Reason = "HANDLER_PANICKED"
)

// Reasons of a gateway that agents meet most.
const (
	// InvalidField: a field or option breaks its rule. Metadata: field, rule, value.
	InvalidField Reason = "INVALID_FIELD"
	// CallState: the command is not allowed in the state of the call. Metadata: state, verb, allowed.
	CallState Reason = "CALL_STATE"
	// CallNotFound: no such call.
	CallNotFound Reason = "CALL_NOT_FOUND"
	// CalleeUnanswered: the callee did not pick up; the call is as it was.
	CalleeUnanswered Reason = "CALLEE_UNANSWERED"
	// CommandCancelled: the command was cancelled before it had an effect. Metadata: cause.
	CommandCancelled Reason = "COMMAND_CANCELLED"
	// OutcomeUnknown: whether the command took effect is not known; it is never repeated by the gateway.
	OutcomeUnknown Reason = "OUTCOME_UNKNOWN"
	// PendingCommand: an ending command is already waiting or under way.
	PendingCommand Reason = "PENDING_COMMAND"
	// RequestIDReused: the same request id came before with another body.
	RequestIDReused Reason = "REQUEST_ID_REUSED"
	// TransferUnanswered: nobody took the seat; you keep it.
	TransferUnanswered Reason = "TRANSFER_UNANSWERED"
	// PoolNotFound: the pool is not configured.
	PoolNotFound Reason = "POOL_NOT_FOUND"
	// Unauthenticated: no or a wrong credential.
	Unauthenticated Reason = "UNAUTHENTICATED"
	// Superseded: the same instance id registered again; this agent has ended.
	Superseded Reason = "SUPERSEDED"
	// CursorExpired: list again and go on from there.
	CursorExpired Reason = "CURSOR_EXPIRED"
	// ContextNotFound: no context of that call or session.
	ContextNotFound Reason = "CONTEXT_NOT_FOUND"
	// RevisionConflict: the context changed since the revision given.
	RevisionConflict Reason = "REVISION_CONFLICT"
	// SeatNotHeld: nobody holds the seat that the command needs.
	SeatNotHeld Reason = "SEAT_NOT_HELD"
)

// Reasons that only the library itself looks at.
const (
	staleHandle     Reason = "STALE_HANDLE"
	seatTaken       Reason = "SEAT_TAKEN"
	offerGone       Reason = "OFFER_GONE"
	playbackFull    Reason = "PLAYBACK_FULL"
	sessionNotFound Reason = "SESSION_NOT_FOUND"
	goingAway       Reason = "GOING_AWAY"
	streamQueueFull Reason = "STREAM_QUEUE_FULL"
)

const (
	errorDomain  = "callweave"
	reasonPrefix = "ERROR_REASON_"
)

// Error is the one error that this library gives. Get it with errors.As; compare its reason with errors.Is.
type Error struct {
	// Why; stable. A reason newer than this library comes through as it is.
	Reason Reason
	// The gRPC status that goes with it.
	Code codes.Code
	// For people, in English. No secrets.
	Message string
	// All variable parts of the message; the contract lists the keys at each reason.
	Metadata map[string]string

	cause error
}

// Error is the reason and the message.
func (e *Error) Error() string { return string(e.Reason) + ": " + e.Message }

// Unwrap gives what it was made from, if anything.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is(err, callweave.CallOver) true for an error with that reason.
func (e *Error) Is(target error) bool {
	reason, ok := target.(Reason)
	return ok && reason == e.Reason
}

// CallID is the call that it is about; empty when it is about none.
func (e *Error) CallID() string { return e.Metadata["call_id"] }

// Retryable tells whether the same request may succeed a little later without any change.
func (e *Error) Retryable() bool { return e.Code == codes.Unavailable }

// toError makes an Error of anything; nil stays nil.
func toError(err error) *Error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	if errors.Is(err, context.Canceled) {
		return &Error{Reason: ContextDone, Code: codes.Canceled, Message: err.Error(), cause: err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Reason: ContextDone, Code: codes.DeadlineExceeded, Message: err.Error(), cause: err}
	}
	found, _ := status.FromError(err)
	made := &Error{Reason: Transport, Code: found.Code(), Message: found.Message(), cause: err}
	if found.Code() == codes.Unauthenticated {
		made.Reason = Unauthenticated
	}
	for _, detail := range found.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == errorDomain && info.GetReason() != "" {
			made.Reason = Reason(info.GetReason())
			made.Metadata = maps.Clone(info.GetMetadata())
		}
	}
	return made
}

// wireError makes an Error of an item or event; nil stays nil.
func wireError(wire *pb.Error) *Error {
	if wire == nil {
		return nil
	}
	name, known := pb.ErrorReason_name[int32(wire.GetReason())]
	made := &Error{Code: codes.Code(wire.GetCode()), Message: wire.GetMessage(), Metadata: maps.Clone(wire.GetMetadata())}
	if known && wire.GetReason() != pb.ErrorReason_ERROR_REASON_UNSPECIFIED {
		made.Reason = Reason(strings.TrimPrefix(name, reasonPrefix))
		return made
	}
	made.Reason = Transport
	if made.Metadata == nil {
		made.Metadata = map[string]string{}
	}
	made.Metadata["reason"] = fmt.Sprint(int32(wire.GetReason()))
	return made
}

func newError(reason Reason, code codes.Code, message string, metadata ...string) *Error {
	made := &Error{Reason: reason, Code: code, Message: message, Metadata: map[string]string{}}
	for i := 0; i+1 < len(metadata); i += 2 {
		made.Metadata[metadata[i]] = metadata[i+1]
	}
	return made
}

func callOver(callID, cause string) *Error {
	return newError(CallOver, codes.Aborted, "the call is over for this agent: "+cause, "call_id", callID, "cause", cause)
}

func queueFull(queue, most, callID string) *Error {
	return newError(QueueFull, codes.ResourceExhausted, queue+" is full: at most "+most, "queue", queue, "max", most, "call_id", callID)
}

func invalidField(field, rule string, value any) *Error {
	text := []rune(fmt.Sprint(value))
	if len(text) > 100 {
		text = text[:100]
	}
	return newError(InvalidField, codes.InvalidArgument, field+" must be "+rule, "field", field, "rule", rule, "value", string(text))
}

func closedError(what string) *Error {
	return newError(Closed, codes.Canceled, "the "+what+" was closed")
}

// contextError tells that ctx ended first, with its cause.
func contextError(ctx context.Context) *Error {
	code := codes.Canceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = codes.DeadlineExceeded
	}
	cause := context.Cause(ctx)
	return &Error{Reason: ContextDone, Code: code, Message: "gave up waiting: " + cause.Error(), cause: errors.Join(ctx.Err(), cause)}
}
