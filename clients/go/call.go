package callweave

import (
	"context"
	"slices"
	"time"

	pb "callweave.dev/go/callweave/v1"
)

// Offer is a call that an agent may take.
type Offer struct {
	// The call as it is now.
	Call *pb.Call
	// Its newest turns; nil for a new call.
	Context *pb.CallContext
	// Counts the offers of the call from 1.
	Attempt int
	// How long it may be answered.
	TimeLeft time.Duration
	// Why, when the call comes by an escalation; else unspecified.
	EscalationReason pb.EscalationReason
}

// Cause says why an agent does not have a call any more.
type Cause string

const (
	// CauseCallEnded: the call is over; see EndReason.
	CauseCallEnded Cause = "CALL_ENDED"
	// CauseReleased: the seat was given back.
	CauseReleased Cause = "RELEASED"
	// CauseTransferred: another agent has it.
	CauseTransferred Cause = "TRANSFERRED"
	// CauseEscalated: a human has it.
	CauseEscalated Cause = "ESCALATED"
	// CauseLost: the connection did not come back in time, or another agent has the seat.
	CauseLost Cause = "LOST"
	// CauseClosed: the agent was closed.
	CauseClosed Cause = "CLOSED"
)

// CallEnd says why the agent does not have a call any more.
type CallEnd struct {
	// Why; a name of SeatCause in the contract, or CauseClosed.
	Cause Cause
	// Why the call is over, with CauseCallEnded.
	EndReason pb.EndReason
}

// PlaybackStatus says where the agent's audio is. Estimates.
type PlaybackStatus struct {
	// Waits in this library.
	Queued time.Duration
	// Sent to the gateway and not yet heard.
	Ahead time.Duration
	// Heard since the media began, as the gateway last told.
	Played time.Duration
}

// ClearResult says what an interrupt dropped. Estimates by the clock.
type ClearResult struct {
	// Was still in this library or in the gateway.
	Dropped time.Duration
	// Was at the provider and not yet heard.
	EstimatedUnheard time.Duration
	// Heard since the media of the call began; 0 when the gateway could not be asked.
	Played time.Duration
}

// Call is a call whose seat this agent has. Its methods may be used from several goroutines. What fails gives an *Error;
// after the end with CallOver. The data that it gives is not to be changed.
type Call struct {
	s                *session
	id               string
	attempt          int
	format           *pb.AudioFormat
	context          *pb.CallContext
	escalationReason pb.EscalationReason
	ctx              context.Context
	cancel           context.CancelCauseFunc
	audio            *AudioReader
	ended            chan struct{}
	contexts         *Contexts

	// Under the lock of the session.
	info           *pb.Call
	epoch          uint64
	handle         uint32
	stream         *serveStream
	detachedAt     time.Duration
	lastSequence   uint64
	lastOwnerEpoch uint64
	player         player
	commands       commands
	subscriptions  map[*Subscription]struct{}
	clears         []chan *pb.PlaybackCleared
	played         time.Duration
	over           bool
	end            CallEnd
	// Runs the handler once the call is answered; nil when it was run.
	begin func()
}

func (c *Call) lock()   { c.s.mu.Lock() }
func (c *Call) unlock() { c.s.mu.Unlock() }

// ID is the call, unique within the tenant.
func (c *Call) ID() string { return c.id }

// Info is all that is known of the call now.
func (c *Call) Info() *pb.Call {
	c.lock()
	defer c.unlock()
	return c.info
}

// Caller is the caller's number in E.164, empty when withheld.
func (c *Call) Caller() string { return c.Info().GetCaller() }

// Callee is the number that was called, in E.164.
func (c *Call) Callee() string { return c.Info().GetCallee() }

// State is where the call stands now.
func (c *Call) State() pb.CallState { return c.Info().GetState() }

// Mode is who hears the agent; set while CONNECTED.
func (c *Call) Mode() pb.AgentMode { return c.Info().GetAgentMode() }

// Attempt counts the offers of the call from 1; above 1 somebody else may have talked before.
func (c *Call) Attempt() int { return c.attempt }

// Epoch is that of the seat; it grows with each new holder.
func (c *Call) Epoch() uint64 {
	c.lock()
	defer c.unlock()
	return c.epoch
}

// Format is the agreed format of audio both ways.
func (c *Call) Format() *pb.AudioFormat { return c.format }

// OfferedContext is the context as it came with the offer, its newest turns; nil for a new call.
func (c *Call) OfferedContext() *pb.CallContext { return c.context }

// EscalationReason is why, when the call came by an escalation; else unspecified.
func (c *Call) EscalationReason() pb.EscalationReason { return c.escalationReason }

// Ended is closed when the agent does not have the call any more; End then says why.
func (c *Call) Ended() <-chan struct{} { return c.ended }

// End is why the agent does not have the call any more; the zero value while it has.
func (c *Call) End() CallEnd {
	c.lock()
	defer c.unlock()
	return c.end
}

// Playback is where the agent's audio is.
func (c *Call) Playback() PlaybackStatus {
	c.lock()
	defer c.unlock()
	return c.playback()
}

func (c *Call) playback() PlaybackStatus {
	return PlaybackStatus{Queued: c.player.queue.waiting + c.player.waiting, Ahead: c.player.queue.ahead(), Played: c.played}
}

// Audio reads the caller's audio, from the acceptance on; it ends with the call.
func (c *Call) Audio() *AudioReader { return c.audio }

// Subscribe reads what happens to the call from now on. At most MaxUpdatesQueued wait, then Next gives QueueFull.
func (c *Call) Subscribe() *Subscription {
	c.lock()
	defer c.unlock()
	made := &Subscription{call: c, most: c.s.options.MaxUpdatesQueued, wake: make(chan struct{}, 1)}
	if c.over {
		made.end()
	} else {
		c.subscriptions[made] = struct{}{}
	}
	return made
}

// Answer answers the call. Needed with ManualAnswer alone. In PENDING.
func (c *Call) Answer(ctx context.Context, options ...VerbOption) error {
	verb := &pb.Command_Answer{Answer: &pb.AnswerCallRequest{}}
	_, err := c.run(ctx, &pb.Command{RequestId: requestIDOf(options), Verb: verb})
	return err
}

// Connect rings the original callee and returns when they picked up. CalleeUnanswered: the call is as it was. In PENDING and
// ANSWERED.
func (c *Call) Connect(ctx context.Context, options ConnectOptions) error {
	request, err := options.wire("")
	if err != nil {
		return err
	}
	_, err = c.run(ctx, &pb.Command{RequestId: options.RequestID, Verb: &pb.Command_Connect{Connect: request}})
	return err
}

// SetMode says who hears the agent. In CONNECTED.
func (c *Call) SetMode(ctx context.Context, mode pb.AgentMode, options ...VerbOption) error {
	verb := &pb.Command_SetAgentMode{SetAgentMode: &pb.SetAgentModeRequest{Mode: mode}}
	_, err := c.run(ctx, &pb.Command{RequestId: requestIDOf(options), Verb: verb})
	return err
}

// Escalate saves the context, lets the announcement end, connects a human and leaves. It returns how that ended; with
// another outcome than OutcomeConnected the agent still has the call. In ANSWERED.
func (c *Call) Escalate(ctx context.Context, options EscalateOptions) (*pb.EscalationResult, error) {
	request, err := options.wire("")
	if err != nil {
		return nil, err
	}
	result, err := c.run(ctx, &pb.Command{RequestId: options.RequestID, Verb: &pb.Command_Escalate{Escalate: request}})
	if err == nil && result == nil {
		result = &pb.EscalationResult{Outcome: pb.EscalationOutcome_ESCALATION_OUTCOME_UNKNOWN}
	}
	return result, err
}

// ConfirmEscalation says whether the human accepted, for an escalation that asked for confirmation.
func (c *Call) ConfirmEscalation(ctx context.Context, accepted bool, options ...VerbOption) error {
	verb := &pb.Command_ConfirmEscalation{ConfirmEscalation: &pb.ConfirmEscalationRequest{Accepted: accepted}}
	_, err := c.run(ctx, &pb.Command{RequestId: requestIDOf(options), Verb: verb})
	return err
}

// Transfer moves the seat to another agent and returns when that one has it. TransferUnanswered: you keep it.
func (c *Call) Transfer(ctx context.Context, options TransferOptions) error {
	request, err := options.wire("")
	if err != nil {
		return err
	}
	_, err = c.run(ctx, &pb.Command{RequestId: options.RequestID, Verb: &pb.Command_Transfer{Transfer: request}})
	return err
}

// Release gives the seat back; the call is offered again.
func (c *Call) Release(ctx context.Context, options ...VerbOption) error {
	verb := &pb.Command_Release{Release: &pb.ReleaseCallRequest{}}
	_, err := c.run(ctx, &pb.Command{RequestId: requestIDOf(options), Verb: verb})
	return err
}

// Close lets the agent leave. In CONNECTED the parties talk on; in ANSWERED it ends the call and needs EndCall.
func (c *Call) Close(ctx context.Context, options CloseOptions) error {
	request, err := options.wire("")
	if err != nil {
		return err
	}
	_, err = c.run(ctx, &pb.Command{RequestId: options.RequestID, Verb: &pb.Command_Close{Close: request}})
	return err
}

// Disconnect ends the call for everyone.
func (c *Call) Disconnect(ctx context.Context, options DisconnectOptions) error {
	request, err := options.wire("")
	if err != nil {
		return err
	}
	_, err = c.run(ctx, &pb.Command{RequestId: options.RequestID, Verb: &pb.Command_Disconnect{Disconnect: request}})
	return err
}

// Cancel cancels a command that has had no effect yet; with an empty id the one that waits.
func (c *Call) Cancel(ctx context.Context, requestID string) error {
	verb := &pb.Command_Cancel{Cancel: &pb.CancelCommandRequest{RequestId: requestID}}
	_, err := c.run(ctx, &pb.Command{Verb: verb})
	return err
}

// AppendTurns appends 1 to 100 turns to the context; see Contexts.AppendTurns.
func (c *Call) AppendTurns(ctx context.Context, turns ...*pb.Turn) (*pb.AppendTurnsResponse, error) {
	return c.contexts.AppendTurns(ctx, c.id, turns...)
}

// SaveContext writes the context: fields that are set replace what is there. The id is filled in.
func (c *Call) SaveContext(ctx context.Context, fields *pb.CallContext) (*pb.SaveContextResponse, error) {
	return c.contexts.Save(ctx, c.id, fields)
}

// UpdateContext writes exactly the fields that are named; see Contexts.Update.
func (c *Call) UpdateContext(ctx context.Context, fields *pb.CallContext, options UpdateContextOptions) (*pb.UpdateContextResponse, error) {
	return c.contexts.Update(ctx, c.id, fields, options)
}

// GetContext reads the context with all turns. ContextNotFound.
func (c *Call) GetContext(ctx context.Context) (*pb.CallContext, error) {
	return c.contexts.Get(ctx, c.id)
}

// run gives a command and waits until it is finished. When ctx ends first, the command is cancelled as long as it has had
// no effect.
func (c *Call) run(ctx context.Context, wire *pb.Command) (*pb.EscalationResult, error) {
	if wire.RequestId == "" {
		wire.RequestId = newID()
	}
	id := wire.GetRequestId()
	c.lock()
	if c.over {
		c.unlock()
		return nil, callOver(c.id, string(c.end.Cause))
	}
	if ctx.Err() != nil {
		c.unlock()
		return nil, contextError(ctx)
	}
	waits := waitsForPlayback(wire)
	state := commandSent
	if waits {
		state = commandQueued
	}
	given, err := c.commands.add(wire, state)
	if err != nil {
		c.unlock()
		return nil, err
	}
	if waits {
		c.player.command(id)
	} else {
		c.sendCommand(id)
	}
	c.unlock()
	select {
	case result := <-given.done:
		return result.escalation, result.err
	case <-ctx.Done():
	}
	c.lock()
	defer c.unlock()
	select {
	case result := <-given.done:
		return result.escalation, result.err
	default:
	}
	c.abort(id)
	return nil, contextError(ctx)
}

// abort gives up a command: one that is here is forgotten, else the gateway is asked to cancel it.
func (c *Call) abort(id string) {
	if slices.Contains(c.commands.in(commandQueued), id) {
		c.player.queue.removeMarker(marker{'c', id})
		c.commands.cancelLocally(id, "ABORTED")
		return
	}
	verb := &pb.Command_Cancel{Cancel: &pb.CancelCommandRequest{RequestId: id}}
	cancel := &pb.Command{RequestId: newID(), Verb: verb}
	if _, err := c.commands.add(cancel, commandSent); err == nil {
		c.sendCommand(cancel.GetRequestId())
	}
}

// sendCommand sends; without a stream that is done after the reattachment, with all that had no answer.
func (c *Call) sendCommand(id string) {
	if wire := c.commands.toSend(id, c.handle); wire != nil && c.stream != nil {
		c.stream.send(&pb.AgentItem{Item: &pb.AgentItem_Command{Command: wire}})
	}
}
