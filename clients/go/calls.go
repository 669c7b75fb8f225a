package callweave

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// Calls lists, watches, hears and commands calls.
type Calls struct{ connection *connection }

// UnaryOptions are what every command of an observer takes. The zero value is fine.
type UnaryOptions struct {
	// Makes a repetition safe: the same id with the same body answers with the first result. Default: a UUID.
	RequestID string
	// How long to wait for the result of a command that takes long. 0 to 150 s. Default: 0, answers at once.
	Wait time.Duration
}

// VerbResult is what a command of an observer answers.
type VerbResult struct {
	// The call as it is now.
	Call *pb.Call
	// The id it was given with, for Cancel and repetitions.
	RequestID string
	// It waits or runs; the event CommandDone tells its end, or the same command with this id and Wait.
	Pending bool
	// Of a finished escalation.
	Escalation *pb.EscalationResult
}

// WatchOptions are the options of Watch. The zero value watches all calls from now on.
type WatchOptions struct {
	// From CallEvent.cursor, List or a live item: events after it. Default: from now on.
	Cursor string
	// Which calls; states do not narrow. Default: all.
	Filter *pb.CallFilter
	// How long to try to come back after the stream broke, then it fails. Default: 0, for ever.
	ResumeTimeout time.Duration
}

// WatchItem is one step of Watch.
type WatchItem struct {
	// What happened; nil when history is over.
	Event *pb.CallEvent
	// History is over, from here on live. Told once.
	Live bool
	// Resume from here.
	Cursor string
}

// Get is one call. Ended calls are kept for 10 minutes; CallNotFound.
func (c *Calls) Get(ctx context.Context, callID string) (*pb.Call, error) {
	response, err := unary(ctx, c.connection, 0, false, pb.NewCallServiceClient, pb.CallServiceClient.GetCall, &pb.GetCallRequest{CallId: callID})
	return response.GetCall(), err
}

// List gives calls, newest first, and the cursor from which Watch misses nothing after the list was made. A nil request
// lists the first 100.
func (c *Calls) List(ctx context.Context, request *pb.ListCallsRequest) (*pb.ListCallsResponse, error) {
	if request == nil {
		request = &pb.ListCallsRequest{}
	}
	return unary(ctx, c.connection, 0, false, pb.NewCallServiceClient, pb.CallServiceClient.ListCalls, request)
}

// Watch gives events of calls, history first, then live, without gap or repeat. It resumes by itself after a broken stream,
// from the last cursor, and ends with an error when ctx ends or when it cannot go on. CursorExpired: list again and go on
// from there. While nothing was read yet and no cursor was given, a broken stream loses what happened meanwhile.
func (c *Calls) Watch(ctx context.Context, options WatchOptions) iter.Seq2[WatchItem, error] {
	return func(yield func(WatchItem, error) bool) {
		w := watch{cursor: options.Cursor, yield: yield}
		var wait backoff
		var broken time.Time
		for {
			err := readStream(ctx, c.connection, pb.NewCallServiceClient, pb.CallServiceClient.WatchCalls,
				&pb.WatchCallsRequest{Cursor: w.cursor, Filter: options.Filter}, func(message *pb.WatchCallsResponse) bool {
					wait.reset()
					broken = time.Time{}
					return w.take(message)
				})
			if w.left {
				return
			}
			if err != nil {
				if broken.IsZero() {
					broken = time.Now()
				}
				late := options.ResumeTimeout > 0 && time.Since(broken) > options.ResumeTimeout
				if !resumable(toError(err)) || late {
					yield(WatchItem{}, err)
					return
				}
			}
			if !sleep(ctx, wait.next()) {
				yield(WatchItem{}, contextError(ctx))
				return
			}
		}
	}
}

type watch struct {
	cursor string
	live   bool
	left   bool
	yield  func(WatchItem, error) bool
}

func (w *watch) take(message *pb.WatchCallsResponse) bool {
	switch item := message.GetItem().(type) {
	case *pb.WatchCallsResponse_Event:
		w.cursor = cmp.Or(item.Event.GetCursor(), w.cursor)
		w.left = !w.yield(WatchItem{Event: item.Event, Cursor: w.cursor}, nil)
	case *pb.WatchCallsResponse_Live:
		w.cursor = cmp.Or(item.Live.GetCursor(), w.cursor)
		if !w.live {
			w.live = true
			w.left = !w.yield(WatchItem{Live: true, Cursor: w.cursor}, nil)
		}
	}
	return !w.left
}

// resumable tells whether a watch goes on after this.
func resumable(err *Error) bool {
	broken := []codes.Code{codes.Unavailable, codes.Canceled, codes.Unknown, codes.Internal, codes.Aborted, codes.DeadlineExceeded}
	return err.Reason == goingAway || err.Reason == streamQueueFull || err.Reason == Transport && slices.Contains(broken, err.Code)
}

// Answer answers the call. In PENDING.
func (c *Calls) Answer(ctx context.Context, callID string, options UnaryOptions) (VerbResult, error) {
	request := &pb.AnswerCallRequest{CallId: callID, RequestId: options.id("")}
	return verb(ctx, c, options, pb.CallServiceClient.AnswerCall, request, nil)
}

// Connect rings the original callee; on pick-up caller, callee and agent are in one conference. In PENDING and ANSWERED.
func (c *Calls) Connect(ctx context.Context, callID string, what ConnectOptions, options UnaryOptions) (VerbResult, error) {
	request, err := what.wire(callID)
	if request != nil {
		request.RequestId, request.Wait = options.id(what.RequestID), duration(options.Wait)
	}
	return verb(ctx, c, options, pb.CallServiceClient.ConnectCall, request, err)
}

// SetMode says who hears the agent. In CONNECTED.
func (c *Calls) SetMode(ctx context.Context, callID string, mode pb.AgentMode, options UnaryOptions) (VerbResult, error) {
	request := &pb.SetAgentModeRequest{CallId: callID, RequestId: options.id(""), Mode: mode}
	return verb(ctx, c, options, pb.CallServiceClient.SetAgentMode, request, nil)
}

// Escalate saves the context, lets the announcement end, connects a human and leaves. In ANSWERED.
func (c *Calls) Escalate(ctx context.Context, callID string, what EscalateOptions, options UnaryOptions) (VerbResult, error) {
	request, err := what.wire(callID)
	if request != nil {
		request.RequestId, request.Wait = options.id(what.RequestID), duration(options.Wait)
	}
	return verb(ctx, c, options, pb.CallServiceClient.EscalateCall, request, err)
}

// ConfirmEscalation says whether the human accepted an escalation that asked for confirmation.
func (c *Calls) ConfirmEscalation(ctx context.Context, callID string, accepted bool, options UnaryOptions) (VerbResult, error) {
	request := &pb.ConfirmEscalationRequest{CallId: callID, RequestId: options.id(""), Accepted: accepted}
	return verb(ctx, c, options, pb.CallServiceClient.ConfirmEscalation, request, nil)
}

// Transfer moves the seat to another agent; the holder keeps it until the other has accepted.
func (c *Calls) Transfer(ctx context.Context, callID string, what TransferOptions, options UnaryOptions) (VerbResult, error) {
	request, err := what.wire(callID)
	if request != nil {
		request.RequestId, request.Wait = options.id(what.RequestID), duration(options.Wait)
	}
	return verb(ctx, c, options, pb.CallServiceClient.TransferCall, request, err)
}

// Release takes the seat from its holder; the call is offered again.
func (c *Calls) Release(ctx context.Context, callID string, options UnaryOptions) (VerbResult, error) {
	request := &pb.ReleaseCallRequest{CallId: callID, RequestId: options.id("")}
	return verb(ctx, c, options, pb.CallServiceClient.ReleaseCall, request, nil)
}

// Close lets the agent leave. In CONNECTED the parties talk on; in ANSWERED it ends the call and needs EndCall.
func (c *Calls) Close(ctx context.Context, callID string, what CloseOptions, options UnaryOptions) (VerbResult, error) {
	request, err := what.wire(callID)
	if request != nil {
		request.RequestId, request.Wait = options.id(what.RequestID), duration(options.Wait)
	}
	return verb(ctx, c, options, pb.CallServiceClient.CloseCall, request, err)
}

// Disconnect ends the call for everyone.
func (c *Calls) Disconnect(ctx context.Context, callID string, what DisconnectOptions, options UnaryOptions) (VerbResult, error) {
	request, err := what.wire(callID)
	if request != nil {
		request.RequestId, request.Wait = options.id(what.RequestID), duration(options.Wait)
	}
	return verb(ctx, c, options, pb.CallServiceClient.DisconnectCall, request, err)
}

// Cancel cancels a command that has had no effect yet; with an empty request id the one that waits.
func (c *Calls) Cancel(ctx context.Context, callID, requestID string) (VerbResult, error) {
	request := &pb.CancelCommandRequest{CallId: callID, RequestId: requestID}
	return verb(ctx, c, UnaryOptions{RequestID: requestID}, pb.CallServiceClient.CancelCommand, request, nil)
}

// SendNote sends 1 to 2,000 characters to the seat holder, heard by nobody. False: nobody holds the seat.
func (c *Calls) SendNote(ctx context.Context, callID, text string, options UnaryOptions) (delivered bool, err error) {
	request := &pb.SendNoteRequest{CallId: callID, RequestId: options.id(""), Text: text}
	response, err := unary(ctx, c.connection, 0, false, pb.NewCallServiceClient, pb.CallServiceClient.SendNote, request)
	return response.GetDelivered(), err
}

// id is the request id of a command: given with it, with the request, or made.
func (o UnaryOptions) id(given string) string { return cmp.Or(o.RequestID, given, newID()) }

// verb does a command; err is what was wrong with its options.
func verb[Q interface{ GetRequestId() string }, S interface{ GetCall() *pb.Call }](ctx context.Context, c *Calls, options UnaryOptions,
	method func(pb.CallServiceClient, context.Context, Q, ...grpc.CallOption) (S, error), request Q, err error,
) (VerbResult, error) {
	if err != nil {
		return VerbResult{}, err
	}
	response, err := unary(ctx, c.connection, options.Wait, false, pb.NewCallServiceClient, method, request)
	if err != nil {
		return VerbResult{}, err
	}
	result := VerbResult{Call: response.GetCall(), RequestID: request.GetRequestId()}
	if long, ok := any(response).(interface{ GetPending() *pb.PendingCommand }); ok {
		result.Pending = long.GetPending() != nil
	}
	if escalation, ok := any(response).(interface {
		GetResult() *pb.EscalationResult
	}); ok {
		result.Escalation = escalation.GetResult()
	}
	return result, nil
}
