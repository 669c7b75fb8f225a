package callweave

import (
	"context"
	"slices"
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/protobuf/proto"
)

// Everything here runs under the lock of the session.

func newCall(s *session, assigned *pb.Assigned, offer *Offer, st *serveStream) *Call {
	info := assigned.GetCall()
	format := agreedFormat(assigned.GetAudioFormat(), info.GetSampleRateHertz())
	c := &Call{
		s: s, id: info.GetCallId(), attempt: int(assigned.GetAttempt()), format: format, contexts: s.agent.contexts,
		audio: newAudioReader(format, s.options.MaxAudioQueued), ended: make(chan struct{}),
		info: info, epoch: assigned.GetEpoch(), handle: assigned.GetHandle(), stream: st,
		lastSequence: info.GetLastEventSequence(), subscriptions: map[*Subscription]struct{}{},
	}
	if offer != nil {
		c.context = offer.Context
		c.escalationReason = offer.EscalationReason
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.commands = commands{callID: c.id, byID: map[string]*command{}}
	at := positionOf(info.GetPlayback())
	c.played = at.played
	c.player = player{
		callID: c.id, maxMarks: s.options.MaxMarks, marks: map[string]*Mark{}, kick: c.kick, interrupt: c.commands.onInterrupt,
		queue: playbackQueue{
			maxQueued: s.options.MaxPlaybackQueued, sendAhead: s.options.SendAhead, bytesPerSecond: bytesPerSecond(format),
			maxUnconfirmed: max(maxItem, min(s.maxPlayback-500*time.Millisecond, s.options.SendAhead+maxUnconfirmedMore)),
			now:            s.now,
		},
	}
	c.player.queue.startAt(at)
	return c
}

func positionOf(p *pb.PlaybackPosition) position {
	return position{p.GetQueued().AsDuration(), p.GetUnheardAtProvider().AsDuration(), p.GetPlayed().AsDuration()}
}

func (c *Call) kick() {
	if c.stream != nil {
		c.stream.kick()
	}
}

// nextItem is the next item of its playback that may be sent now; nil when there is none.
func (c *Call) nextItem() *pb.AgentItem {
	for {
		item, ok := c.player.queue.next()
		if !ok {
			return nil
		}
		if item.isAudio() {
			c.player.changed()
			return &pb.AgentItem{Item: &pb.AgentItem_Audio{Audio: &pb.AgentAudio{Handle: c.handle, Pcm: item.pcm}}}
		}
		if item.marker.kind == 'm' {
			if mark := c.player.marks[item.marker.id]; mark != nil {
				mark.sent = true
				return &pb.AgentItem{Item: &pb.AgentItem_Mark{Mark: &pb.Mark{Handle: c.handle, Name: mark.name}}}
			}
		} else if wire := c.commands.toSend(item.marker.id, c.handle); wire != nil {
			return &pb.AgentItem{Item: &pb.AgentItem_Command{Command: wire}}
		}
	}
}

func (c *Call) onAudio(audio *pb.CallAudio) {
	c.audio.push(audio.GetPcm(), audio.GetPosition(), c.callRate())
}

func (c *Call) callRate() int32 {
	if rate := c.info.GetSampleRateHertz(); rate != 0 {
		return rate
	}
	return c.format.GetSampleRateHertz()
}

func (c *Call) onProgress(wire *pb.PlaybackPosition) {
	at := positionOf(wire)
	c.played = at.played
	c.player.queue.onProgress(at)
	c.kick()
	status := c.playback()
	c.tell(Update{Playback: &status})
}

func (c *Call) onCleared(cleared *pb.PlaybackCleared) {
	c.played = cleared.GetPlayed().AsDuration()
	c.player.queue.onCleared(c.played)
	c.answerClear(cleared)
	c.kick()
}

func (c *Call) answerClear(cleared *pb.PlaybackCleared) {
	if len(c.clears) > 0 {
		c.clears[0] <- cleared
		c.clears = c.clears[1:]
	}
}

func (c *Call) onResult(result *pb.CommandResult) {
	if result.GetCall() != nil {
		c.update(result.GetCall(), false)
	}
	c.commands.onResult(result)
}

func (c *Call) onEvent(event *pb.CallEvent) {
	// Numbers that a dead gateway told and did not store come again, from its successor.
	owner := max(1, event.GetOwnerEpoch())
	if c.lastOwnerEpoch == 0 {
		c.lastOwnerEpoch = owner
	}
	if event.GetSequence() <= c.lastSequence && owner <= c.lastOwnerEpoch {
		return
	}
	c.lastSequence = event.GetSequence()
	c.lastOwnerEpoch = max(c.lastOwnerEpoch, owner)
	info := proto.CloneOf(c.info)
	switch what := event.GetEvent().(type) {
	case *pb.CallEvent_Answered:
		info.State = Answered
	case *pb.CallEvent_Connected:
		info.State = Connected
		if info.GetAgentMode() == pb.AgentMode_AGENT_MODE_UNSPECIFIED {
			info.AgentMode = Barge
		}
	case *pb.CallEvent_ModeSet:
		info.AgentMode = what.ModeSet.GetMode()
	case *pb.CallEvent_SeatChanged:
		info.Seat = what.SeatChanged.GetSeat()
	case *pb.CallEvent_CommandDone:
		if info.GetPending().GetRequestId() == what.CommandDone.GetRequestId() {
			info.Pending = nil
		}
	case *pb.CallEvent_Ended:
		info.State = Disconnected
		info.EndReason = what.Ended.GetReason()
	}
	info.LastEventSequence = c.lastSequence
	c.info = info
	c.tell(Update{Event: event})
	done := event.GetCommandDone()
	if done != nil {
		c.commands.onDone(done)
	}
	if c.info.GetState() != Pending || done.GetVerb() == "AnswerCall" {
		c.start()
	}
}

// start runs the handler, once.
func (c *Call) start() {
	if begin := c.begin; begin != nil {
		c.begin = nil
		begin()
	}
}

func (c *Call) tell(update Update) {
	for s := range c.subscriptions {
		s.push(update)
	}
}

func (c *Call) update(info *pb.Call, force bool) {
	if !force && info.GetLastEventSequence() < c.lastSequence {
		return
	}
	c.info = info
	if info.GetState() != Pending {
		c.start()
	}
}

func (c *Call) onRefused(item string, err *Error) {
	switch {
	case err.Reason == playbackFull:
		c.player.queue.onFull()
		c.kick()
	case item == "mark":
		c.player.onMarkRefused()
	case item == "clear_playback":
		c.answerClear(nil)
	default:
		c.s.agent.tellError(err, c.id)
	}
}

// onDetached: the stream broke; the seat is reserved for a moment.
func (c *Call) onDetached() {
	if c.stream == nil || c.over {
		return
	}
	c.stream = nil
	c.detachedAt = c.s.now()
	c.player.aheadLost = c.player.queue.ahead()
	for len(c.clears) > 0 {
		c.answerClear(nil)
	}
	c.tell(Update{Connection: ConnectionLost})
}

// onReattached: the call is on a new stream. What was lost on the way is sent again.
func (c *Call) onReattached(assigned *pb.Assigned, st *serveStream) {
	c.onDetached()
	c.handle = assigned.GetHandle()
	c.epoch = assigned.GetEpoch()
	c.stream = st
	takenOver := assigned.GetResume() == pb.AssignedResume_ASSIGNED_RESUME_TAKEN_OVER
	requeued := c.player.onReattached(positionOf(assigned.GetCall().GetPlayback()), takenOver)
	if takenOver {
		c.lastOwnerEpoch = max(1, c.lastOwnerEpoch)
		c.expectOutcomes()
	}
	if assigned.GetCall() != nil {
		c.update(assigned.GetCall(), true)
	}
	for _, id := range c.commands.in(commandSent) {
		if requeued[id] {
			c.commands.byID[id].state = commandQueued
		} else {
			c.sendCommand(id)
		}
	}
	c.tell(Update{Connection: ConnectionBack})
	c.kick()
}

// expectOutcomes: commands that the dead gateway had answered as pending are told by its successor. If it knows nothing of
// one, because even its start was not stored, nobody does.
func (c *Call) expectOutcomes() {
	pending := c.commands.in(commandPending)
	if len(pending) == 0 {
		return
	}
	time.AfterFunc(outcomeWait, func() {
		c.lock()
		defer c.unlock()
		for _, id := range pending {
			c.commands.unknown(id)
		}
	})
}

// finish: the agent does not have the call any more.
func (c *Call) finish(end CallEnd) {
	if c.over {
		return
	}
	c.over = true
	c.end = end
	c.stream = nil
	over := callOver(c.id, string(end.Cause))
	if end.Cause == CauseCallEnded {
		info := proto.CloneOf(c.info)
		info.State = Disconnected
		info.EndReason = end.EndReason
		c.info = info
	}
	for len(c.clears) > 0 {
		c.answerClear(nil)
	}
	c.player.end(over)
	c.commands.onOver(end)
	c.audio.end()
	for s := range c.subscriptions {
		s.end()
	}
	clear(c.subscriptions)
	c.cancel(over)
	close(c.ended)
	c.start()
	c.s.agent.changed()
}

func endOf(unassigned *pb.Unassigned) CallEnd {
	cause := Cause(enumName(unassigned.GetCause().String(), "SEAT_CAUSE_"))
	known := []Cause{CauseCallEnded, CauseReleased, CauseTransferred, CauseEscalated, "GRACE_EXPIRED", "ACCEPTED", "REATTACHED", "TAKEN_OVER"}
	if !slices.Contains(known, cause) {
		cause = CauseLost
	}
	return CallEnd{Cause: cause, EndReason: unassigned.GetEndReason()}
}
