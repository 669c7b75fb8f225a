package callweave

import (
	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/grpc/codes"
)

type commandState byte

const (
	// In the playback queue.
	commandQueued commandState = iota
	// With the gateway, and nothing came back.
	commandSent
	// With the gateway and answered as pending.
	commandPending
)

type commandResult struct {
	escalation *pb.EscalationResult
	err        error
}

type command struct {
	wire  *pb.Command
	state commandState
	done  chan commandResult
}

// commands has the commands of one call that are not finished, in order. It knows no socket.
type commands struct {
	callID string
	byID   map[string]*command
	order  []string
}

func (c *commands) add(wire *pb.Command, state commandState) (*command, error) {
	id := wire.GetRequestId()
	if c.byID[id] != nil {
		return nil, newError(RequestIDReused, codes.AlreadyExists, "request_id "+id+" is already under way", "request_id", id)
	}
	made := &command{wire: wire, state: state, done: make(chan commandResult, 1)}
	c.byID[id] = made
	c.order = append(c.order, id)
	return made, nil
}

// toSend is the command as it goes on the wire; it counts as sent from now on. Nil when it is not there any more.
func (c *commands) toSend(id string, handle uint32) *pb.Command {
	found := c.byID[id]
	if found == nil {
		return nil
	}
	found.state = commandSent
	return &pb.Command{Handle: handle, RequestId: id, Verb: found.wire.GetVerb()}
}

// in gives the ids of the commands in a state, in order.
func (c *commands) in(state commandState) (ids []string) {
	for _, id := range c.order {
		if c.byID[id].state == state {
			ids = append(ids, id)
		}
	}
	return ids
}

func (c *commands) onResult(result *pb.CommandResult) {
	found := c.byID[result.GetRequestId()]
	if found == nil {
		return
	}
	if result.GetPending() && result.GetError() == nil {
		found.state = commandPending
		return
	}
	c.finish(found, result.GetEscalation(), wireError(result.GetError()))
}

func (c *commands) onDone(done *pb.CommandDone) {
	if found := c.byID[done.GetRequestId()]; found != nil {
		c.finish(found, done.GetEscalation(), wireError(done.GetError()))
	}
}

// unknown: nobody knows how it ended.
func (c *commands) unknown(id string) {
	if found := c.byID[id]; found != nil && found.state == commandPending {
		text := "the gateway that carried it out died; its outcome is unknown"
		c.finish(found, nil, newError(OutcomeUnknown, codes.Unknown, text, "call_id", c.callID, "request_id", id))
	}
}

// cancelLocally ends one that is still here.
func (c *commands) cancelLocally(id, cause string) {
	if found := c.byID[id]; found != nil {
		text := "the command was cancelled before it had an effect"
		c.settle(found, commandResult{err: newError(CommandCancelled, codes.Canceled, text,
			"call_id", c.callID, "request_id", id, "cause", cause)})
	}
}

// onInterrupt: Clear met it in the playback queue. True when it goes ahead, else it is cancelled.
func (c *commands) onInterrupt(id string) bool {
	found := c.byID[id]
	if found == nil {
		return false
	}
	if proceedsOnInterrupt(found.wire) {
		return true
	}
	c.cancelLocally(id, "INTERRUPTED")
	return false
}

// onOver: the seat is gone. Commands whose success is just that have succeeded.
func (c *commands) onOver(end CallEnd) {
	for _, id := range append([]string(nil), c.order...) {
		found := c.byID[id]
		if result, ok := fulfilledBy(found.wire, end); ok && found.state != commandQueued {
			c.settle(found, commandResult{escalation: result})
		} else {
			c.settle(found, commandResult{err: callOver(c.callID, string(end.Cause))})
		}
	}
}

func (c *commands) finish(found *command, escalation *pb.EscalationResult, err *Error) {
	// The outcome of an escalation says more than its error: nobody picked up, the caller left.
	told := escalation.GetOutcome() != pb.EscalationOutcome_ESCALATION_OUTCOME_UNSPECIFIED
	if err == nil || found.wire.GetEscalate() != nil && told {
		c.settle(found, commandResult{escalation: escalation})
		return
	}
	c.settle(found, commandResult{err: err})
}

func (c *commands) settle(found *command, result commandResult) {
	id := found.wire.GetRequestId()
	delete(c.byID, id)
	for i, other := range c.order {
		if other == id {
			c.order = append(c.order[:i:i], c.order[i+1:]...)
			break
		}
	}
	found.done <- result
}

func fulfilledBy(wire *pb.Command, end CallEnd) (*pb.EscalationResult, bool) {
	left := end.EndReason == pb.EndReason_END_REASON_LEFT_TO_PARTIES
	ended := end.Cause == CauseCallEnded
	switch wire.GetVerb().(type) {
	case *pb.Command_Escalate:
		if end.Cause == CauseEscalated || ended && left {
			return &pb.EscalationResult{Outcome: OutcomeConnected}, true
		}
		return &pb.EscalationResult{Outcome: OutcomeCallerLeft}, ended
	case *pb.Command_Transfer:
		return nil, end.Cause == CauseTransferred
	case *pb.Command_Release:
		return nil, end.Cause == CauseReleased
	case *pb.Command_Close:
		return nil, ended && (left || end.EndReason == pb.EndReason_END_REASON_DISCONNECTED)
	case *pb.Command_Disconnect:
		return nil, ended
	default:
		return nil, false
	}
}
