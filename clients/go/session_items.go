package callweave

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	pb "callweave.dev/go/callweave/v1"
)

// take takes a message of the gateway.
func (s *session) take(st *serveStream, message *pb.ServeResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.heard = true
	for _, item := range message.GetItems() {
		if !st.over && !s.closed {
			s.onItem(st, item)
		}
	}
}

func (s *session) onItem(st *serveStream, wire *pb.GatewayItem) {
	switch item := wire.GetItem().(type) {
	case *pb.GatewayItem_Registered:
		s.onRegistered(st, item.Registered)
	case *pb.GatewayItem_Offer:
		s.onOffer(st, item.Offer)
	case *pb.GatewayItem_OfferRevoked:
		delete(s.offers, item.OfferRevoked.GetOfferId())
	case *pb.GatewayItem_Assigned:
		s.onAssigned(st, item.Assigned)
	case *pb.GatewayItem_Unassigned:
		if call := s.handles[item.Unassigned.GetHandle()]; call != nil {
			s.remove(call).finish(endOf(item.Unassigned))
		}
	case *pb.GatewayItem_Audio:
		if call := s.handles[item.Audio.GetHandle()]; call != nil {
			call.onAudio(item.Audio)
		}
	case *pb.GatewayItem_AudioGap:
		if call := s.handles[item.AudioGap.GetHandle()]; call != nil {
			call.audio.pushGap(item.AudioGap, call.callRate())
		}
	case *pb.GatewayItem_MarkReached:
		if call := s.handles[item.MarkReached.GetHandle()]; call != nil {
			end := Played
			if item.MarkReached.GetEnd() == pb.MarkEnd_MARK_END_CLEARED {
				end = Cleared
			}
			call.player.onMarkReached(item.MarkReached.GetName(), end)
		}
	case *pb.GatewayItem_Playback:
		if call := s.handles[item.Playback.GetHandle()]; call != nil {
			call.onProgress(item.Playback.GetPosition())
		}
	case *pb.GatewayItem_PlaybackCleared:
		if call := s.handles[item.PlaybackCleared.GetHandle()]; call != nil {
			call.onCleared(item.PlaybackCleared)
		}
	case *pb.GatewayItem_CommandResult:
		call := s.handles[item.CommandResult.GetHandle()]
		if call == nil {
			call = s.calls[item.CommandResult.GetCall().GetCallId()]
		}
		if call != nil {
			call.onResult(item.CommandResult)
		}
	case *pb.GatewayItem_CallEvent:
		if call := s.calls[item.CallEvent.GetCallId()]; call != nil {
			call.onEvent(item.CallEvent)
		}
	case *pb.GatewayItem_Note:
		if call := s.handles[item.Note.GetHandle()]; call != nil {
			call.tell(Update{Note: item.Note})
		}
	case *pb.GatewayItem_ItemRefused:
		s.onRefused(item.ItemRefused)
	case *pb.GatewayItem_GoAway:
		s.leaving = true
		s.agent.goingAway(s, item.GoAway.GetDeadline().AsDuration())
	case *pb.GatewayItem_CredentialExpiring:
		if s.options.TokenSource != nil {
			go s.refresh(st)
		}
	default:
		// A kind newer than this library.
	}
}

// refresh sends a fresh token before the old one ends.
func (s *session) refresh(st *serveStream) {
	ctx, cancel := context.WithTimeout(st.ctx, s.options.ConnectTimeout)
	defer cancel()
	token, err := s.options.token(ctx)
	if err != nil {
		s.agent.tellError(err, "")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.reauthenticate(token)
}

func (st *serveStream) reauthenticate(token string) {
	st.send(&pb.AgentItem{Item: &pb.AgentItem_Reauthenticate{Reauthenticate: &pb.Reauthenticate{Token: token}}})
}

func (s *session) onRegistered(st *serveStream, registered *pb.Registered) {
	if token := registered.GetSessionToken(); token != "" {
		s.token = token
	}
	if grace := registered.GetReattachGrace(); grace != nil {
		s.grace = grace.AsDuration()
	}
	if interval := registered.GetHeartbeatInterval(); interval != nil {
		s.heartbeat = interval.AsDuration()
	}
	if limits := registered.GetLimits(); limits != nil {
		s.maxItems = atMost(maxMessageItems, limits.GetMaxItems())
		s.maxBytes = atMost(maxMessageBytes, limits.GetMaxMessageBytes())
		st.maxItems, st.maxBytes = s.maxItems, s.maxBytes
		if most := limits.GetMaxPlayback(); most != nil {
			s.maxPlayback = most.AsDuration()
		}
	}
	s.onUp(st, registered.GetGatewayId())
}

// atMost is the own bound, or the gateway's if that is less.
func atMost(own int, told int32) int {
	if told <= 0 {
		return own
	}
	return min(own, int(told))
}

func (s *session) onUp(st *serveStream, gatewayID string) {
	if s.up {
		return
	}
	s.up = true
	s.everUp = true
	s.upAt = s.now()
	if !s.options.NoHeartbeat && s.heartbeat > 0 {
		ctx, stop := context.WithCancel(s.ctx)
		s.beating = stop
		go s.beat(ctx, s.heartbeat)
	}
	if s.draining || s.leaving {
		s.sendAny(&pb.AgentItem{Item: &pb.AgentItem_Drain{Drain: &pb.Drain{}}})
	}
	if len(s.calls) > 0 {
		wait := s.lostAt + s.takeover() - s.now()
		if st.reattaches {
			wait = s.options.ConnectTimeout
		}
		s.settling = true
		s.settleTimer = time.AfterFunc(max(0, wait), s.dropUnanswered)
	}
	s.agent.connected(gatewayID)
}

// dropUnanswered ends calls that the gateway neither gave back nor refused after a Reattach.
func (s *session) dropUnanswered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up || s.closed {
		return
	}
	s.settling = false
	for _, call := range s.calls {
		if call.stream == nil {
			s.remove(call).finish(CallEnd{Cause: CauseLost})
		}
	}
}

// beat sends heartbeats until ctx ends.
func (s *session) beat(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for ctx.Err() == nil {
		load := s.load()
		s.mu.Lock()
		s.sendAny(&pb.AgentItem{Item: &pb.AgentItem_Heartbeat{Heartbeat: &pb.Heartbeat{Load: load}}})
		s.mu.Unlock()
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// load is from 0 to 1. What is wrong with the answer of the program is told once, until it answers well again.
func (s *session) load() float64 {
	s.mu.Lock()
	load := float64(len(s.calls)) / float64(s.options.Capacity)
	s.mu.Unlock()
	if s.options.Load == nil {
		return min(1, load)
	}
	var told float64
	err := guard(func() error { told = s.options.Load(); return nil })
	if err == nil && (math.IsNaN(told) || math.IsInf(told, 0)) {
		err = invalidField("Load", "a finite number from 0 to 1", told)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if !s.loadFailed {
			s.agent.tellError(err, "")
		}
		s.loadFailed = true
		return min(1, load)
	}
	s.loadFailed = false
	return min(1, max(0, told))
}

func (s *session) onOffer(st *serveStream, wire *pb.Offer) {
	id := wire.GetOfferId()
	offer := &Offer{
		Call: wire.GetCall(), Context: wire.GetContext(), Attempt: int(wire.GetAttempt()),
		TimeLeft: wire.GetTimeLeft().AsDuration(), EscalationReason: wire.GetEscalationReason(),
	}
	switch {
	case s.draining || s.leaving:
		st.decline(id, "draining")
	case len(s.calls)+len(s.offers) >= s.options.Capacity:
		st.decline(id, "at capacity")
	case s.options.Accept == nil:
		s.offers[id] = offer
		st.send(&pb.AgentItem{Item: &pb.AgentItem_Accept{Accept: &pb.Accept{OfferId: id}}})
	default:
		// Counted from now on, so that two offers at once do not both take the last place.
		s.offers[id] = offer
		go s.decide(st, id, offer)
	}
}

// decide asks the program whether to take an offer.
func (s *session) decide(st *serveStream, id string, offer *Offer) {
	ctx, cancel := context.WithTimeout(st.ctx, max(offer.TimeLeft, time.Millisecond))
	defer cancel()
	panicked := true
	err := guard(func() error {
		answer := s.options.Accept(ctx, offer)
		panicked = false
		return answer
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if panicked {
		s.agent.tellError(err, offer.Call.GetCallId())
		err = fmt.Errorf("the agent failed to decide")
	}
	if s.offers[id] != offer || st.over {
		return
	}
	if err != nil {
		delete(s.offers, id)
		st.decline(id, err.Error())
		return
	}
	st.send(&pb.AgentItem{Item: &pb.AgentItem_Accept{Accept: &pb.Accept{OfferId: id}}})
}

func (st *serveStream) decline(id, reason string) {
	runes := []rune(reason)
	reason = string(runes[:min(100, len(runes))])
	st.send(&pb.AgentItem{Item: &pb.AgentItem_Decline{Decline: &pb.Decline{OfferId: id, Reason: reason}}})
}

func (s *session) onAssigned(st *serveStream, assigned *pb.Assigned) {
	s.onUp(st, assigned.GetCall().GetGatewayId())
	id := assigned.GetCall().GetCallId()
	offer := s.offers[assigned.GetOfferId()]
	delete(s.offers, assigned.GetOfferId())
	known := s.calls[id]
	takenOver := assigned.GetResume() == pb.AssignedResume_ASSIGNED_RESUME_TAKEN_OVER
	again := assigned.GetResume() != pb.AssignedResume_ASSIGNED_RESUME_NEW
	if known != nil && again && (takenOver || known.epoch == assigned.GetEpoch()) {
		s.remove(known)
		s.bind(known, assigned.GetHandle(), st)
		known.onReattached(assigned, st)
		return
	}
	if known != nil {
		s.remove(known).finish(CallEnd{Cause: CauseLost})
	}
	call := newCall(s, assigned, offer, st)
	s.bind(call, assigned.GetHandle(), st)
	s.agent.assigned(call)
	s.grow()
}

func (s *session) bind(call *Call, handle uint32, st *serveStream) {
	s.calls[call.id] = call
	s.handles[handle] = call
	if !slices.Contains(st.calls, call) {
		st.calls = append(st.calls, call)
	}
}

func (s *session) onRefused(refused *pb.ItemRefused) {
	err := wireError(refused.GetError())
	if err == nil {
		err = closedError("item")
	}
	if id := err.Metadata["offer_id"]; id != "" {
		delete(s.offers, id)
	}
	call := s.handles[refused.GetHandle()]
	if call == nil && refused.GetItem() == "reattach" {
		call = s.calls[err.CallID()]
	}
	if err.Reason == offerGone {
		return
	}
	if call == nil {
		// A repeated item of a call that is over is no news.
		if err.Reason != staleHandle && err.Reason != seatTaken {
			s.agent.tellError(err, err.CallID())
		}
		return
	}
	gone := refused.GetItem() == "reattach" || err.Reason == seatTaken
	if gone && len(s.streams) > 0 {
		s.onUp(s.streams[0], "")
	}
	if gone || err.Reason == staleHandle {
		s.remove(call).finish(CallEnd{Cause: CauseLost})
	} else {
		call.onRefused(refused.GetItem(), err)
	}
}
