package callweave

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

var background = context.Background()

func TestPlayMarkAndDrain(t *testing.T) {
	_, _, s, call := taken(t, AgentOptions{})
	go func() { _, _ = call.Play(background, say(3)) }()
	until(t, "the audio", func() bool { return call.Playback().Ahead > 0 })
	mark, err := call.Mark("said")
	if err != nil {
		t.Fatal(err)
	}
	var heard []byte
	for range 3 {
		audio := expect[*pb.AgentItem_Audio](s).Audio
		if audio.GetHandle() != 7 {
			t.Fatal(audio.GetHandle())
		}
		heard = append(heard, audio.GetPcm()...)
	}
	if !bytes.Equal(heard, say(3)) {
		t.Fatal("the audio is not what was played")
	}
	if name := expect[*pb.AgentItem_Mark](s).Mark.GetName(); name != "said" {
		t.Fatal(name)
	}
	reached := func(name string, end pb.MarkEnd) {
		s.send(&pb.GatewayItem{Item: &pb.GatewayItem_MarkReached{MarkReached: &pb.MarkReached{Handle: 7, Name: name, End: end}}})
	}
	reached("said", pb.MarkEnd_MARK_END_PLAYED)
	if end, err := mark.Wait(background); end != Played || err != nil {
		t.Fatal(end, err)
	}
	drained := make(chan MarkEnd, 1)
	go func() {
		end, _ := call.Drained(background)
		drained <- end
	}()
	reached(expect[*pb.AgentItem_Mark](s).Mark.GetName(), pb.MarkEnd_MARK_END_CLEARED)
	if end := receive(t, drained); end != Cleared {
		t.Fatal(end)
	}
	s.progress(7, 300*time.Millisecond, 0)
	until(t, "progress", func() bool { return call.Playback().Played == 300*time.Millisecond })
}

func TestClearTellsWhatWasNotHeard(t *testing.T) {
	_, _, s, call := taken(t, AgentOptions{SendAhead: 100 * time.Millisecond})
	if err := call.Queue(say(5)); err != nil {
		t.Fatal(err)
	}
	played := make(chan PlayEnd, 2)
	for range 2 {
		go func() {
			end, err := call.PlayFrom(background, bytes.NewReader(say(20)))
			if err != nil {
				t.Error(err)
			}
			played <- end
		}()
	}
	deferred := func(count int) func() bool {
		return func() bool {
			call.lock()
			defer call.unlock()
			return call.player.streaming && len(call.player.deferred) == count
		}
	}
	expect[*pb.AgentItem_Audio](s)
	until(t, "the second to wait for the first", deferred(1))
	mark, _ := call.Mark("never")
	connect := make(chan error, 1)
	go func() { connect <- call.Connect(background, ConnectOptions{After: Drained()}) }()
	escalate := make(chan *pb.EscalationResult, 1)
	go func() {
		result, _ := call.Escalate(background, EscalateOptions{Reason: Frustrated})
		escalate <- result
	}()
	until(t, "all to wait", deferred(4))
	cleared := make(chan ClearResult, 1)
	go func() {
		result, err := call.Clear(background)
		if err != nil {
			t.Error(err)
		}
		cleared <- result
	}()
	expect[*pb.AgentItem_ClearPlayback](s)
	s.send(&pb.GatewayItem{Item: &pb.GatewayItem_PlaybackCleared{PlaybackCleared: &pb.PlaybackCleared{
		Handle: 7, DroppedLocal: durationpb.New(40 * time.Millisecond), EstimatedUnheardAtProvider: durationpb.New(30 * time.Millisecond),
		Played: durationpb.New(20 * time.Millisecond),
	}}})
	result := receive(t, cleared)
	if result.Dropped < 340*time.Millisecond || result.Dropped > 740*time.Millisecond || result.EstimatedUnheard != 30*time.Millisecond || result.Played != 20*time.Millisecond {
		t.Fatal(result)
	}
	if end, _ := mark.Wait(background); end != Cleared {
		t.Fatal(end)
	}
	for range 2 {
		if end := receive(t, played); end != PlayCleared {
			t.Fatal(end)
		}
	}
	if err := receive(t, connect); !errors.Is(err, CommandCancelled) {
		t.Fatal(err)
	}
	// An angry caller who talks over the announcement does not cancel his own escalation: it goes ahead behind the clear.
	command := expect[*pb.AgentItem_Command](s).Command
	if command.GetEscalate() == nil {
		t.Fatal(command)
	}
	s.result(command, &pb.CommandResult{Escalation: &pb.EscalationResult{Outcome: OutcomeUnanswered}})
	if outcome := receive(t, escalate).GetOutcome(); outcome != OutcomeUnanswered {
		t.Fatal(outcome)
	}
}

func TestPlayFromReadsAsFastAsItIsHeard(t *testing.T) {
	_, _, s, call := taken(t, AgentOptions{SendAhead: 200 * time.Millisecond})
	counted := &countingReader{Reader: bytes.NewReader(bytes.Repeat(say(1), 600))}
	ctx, cancel := context.WithCancel(background)
	ended := make(chan error, 1)
	go func() {
		_, err := call.PlayFrom(ctx, counted)
		ended <- err
	}()
	for range 3 {
		expect[*pb.AgentItem_Audio](s)
	}
	until(t, "the pace", func() bool { return call.Playback().Ahead > 0 })
	if read := counted.read.Load(); read > 16_000*2 {
		t.Fatalf("%d bytes were read ahead", read)
	}
	cancel()
	if err := receive(t, ended); !errors.Is(err, ContextDone) {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if _, err := call.PlayFrom(background, io.MultiReader(strings.NewReader("ab"), failingReader{broken})); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if end, err := call.PlayFrom(background, strings.NewReader("")); end != PlaySent || err != nil {
		t.Fatal(end, err)
	}
}

func TestBoundedQueuesOfACall(t *testing.T) {
	_, _, s, call := taken(t, AgentOptions{MaxPlaybackQueued: 500 * time.Millisecond, SendAhead: 100 * time.Millisecond, MaxMarks: 2, MaxUpdatesQueued: 2})
	if err := call.Queue(make([]byte, 16_000/2+2)); !errors.Is(err, QueueFull) {
		t.Fatal(err)
	}
	if err := call.Queue(make([]byte, 16_000/2)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := call.Mark("m"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := call.Mark("m"); !errors.Is(err, QueueFull) {
		t.Fatal(err)
	}
	if _, err := call.Mark(strings.Repeat("x", 101)); !errors.Is(err, InvalidField) {
		t.Fatal(err)
	}
	updates := call.Subscribe()
	other := call.Subscribe()
	other.Close()
	for i := range 3 {
		s.send(&pb.GatewayItem{Item: &pb.GatewayItem_Note{Note: &pb.Note{Handle: 7, Text: string(rune('a' + i))}}})
	}
	until(t, "the notes", func() bool {
		call.lock()
		defer call.unlock()
		return updates.full
	})
	for _, want := range []string{"a", "b"} {
		if update, err := updates.Next(background); err != nil || update.Note.GetText() != want {
			t.Fatal(update, err)
		}
	}
	if _, err := updates.Next(background); !errors.Is(err, QueueFull) {
		t.Fatal(err)
	}
	if _, err := other.Next(background); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func TestCommands(t *testing.T) {
	_, _, s, call := taken(t, AgentOptions{})
	run := func(do func() error) (*pb.Command, <-chan error) {
		ended := make(chan error, 1)
		go func() { ended <- do() }()
		return expect[*pb.AgentItem_Command](s).Command, ended
	}
	command, ended := run(func() error {
		return call.Connect(background, ConnectOptions{RingTime: 3 * time.Second, RequestID: "ring"})
	})
	if command.GetConnect().GetRingDuration().AsDuration() != 3*time.Second || command.GetRequestId() != "ring" {
		t.Fatal(command)
	}
	if err := call.Connect(background, ConnectOptions{RequestID: "ring"}); !errors.Is(err, RequestIDReused) {
		t.Fatal(err)
	}
	s.result(command, &pb.CommandResult{Pending: true})
	s.event(&pb.CallEvent{CallId: "c-1", Sequence: 1, Event: &pb.CallEvent_CommandDone{CommandDone: &pb.CommandDone{
		RequestId: "ring", Error: &pb.Error{Code: 9, Reason: pb.ErrorReason_ERROR_REASON_CALLEE_UNANSWERED},
	}}})
	if err := receive(t, ended); !errors.Is(err, CalleeUnanswered) {
		t.Fatal(err)
	}
	command, ended = run(func() error { return call.SetMode(background, Whisper) })
	s.result(command, &pb.CommandResult{Call: &pb.Call{CallId: "c-1", State: Connected, AgentMode: Whisper, LastEventSequence: 5}})
	if err := receive(t, ended); err != nil || call.Mode() != Whisper {
		t.Fatal(err, call.Mode())
	}
	// The context ends first: the gateway is asked to cancel the command.
	ctx, cancel := context.WithCancel(background)
	command, ended = run(func() error { return call.Transfer(ctx, TransferOptions{Pool: "other"}) })
	cancel()
	if err := receive(t, ended); !errors.Is(err, ContextDone) {
		t.Fatal(err)
	}
	if id := expect[*pb.AgentItem_Command](s).Command.GetCancel().GetRequestId(); id != command.GetRequestId() {
		t.Fatal(id)
	}
	// One that still waits here is just forgotten.
	if err := call.Queue(say(50)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(background, 10*time.Millisecond)
	defer cancel()
	if err := call.Disconnect(ctx, DisconnectOptions{After: Drained()}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	// The end of the call is the success of what was to end it.
	_, ended = run(func() error { return call.Disconnect(background, DisconnectOptions{}) })
	marked, _ := call.Mark("x")
	s.unassign(7, pb.SeatCause_SEAT_CAUSE_CALL_ENDED)
	if err := receive(t, ended); err != nil {
		t.Fatal(err)
	}
	if end, _ := marked.Wait(background); end != Cleared {
		t.Fatal(end)
	}
	for name, err := range map[string]error{
		"play":  call.Queue(say(1)),
		"mark":  second(call.Mark("")),
		"clear": second(call.Clear(background)),
		"verb":  call.Answer(background),
		"from":  second(call.PlayFrom(background, strings.NewReader("ab"))),
	} {
		if !errors.Is(err, CallOver) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := call.Audio().Next(background); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestEscalationsEnd(t *testing.T) {
	for cause, want := range map[pb.SeatCause]pb.EscalationOutcome{
		pb.SeatCause_SEAT_CAUSE_ESCALATED:  OutcomeConnected,
		pb.SeatCause_SEAT_CAUSE_CALL_ENDED: OutcomeCallerLeft,
	} {
		_, _, s, call := taken(t, AgentOptions{})
		ended := make(chan *pb.EscalationResult, 1)
		go func() {
			result, err := call.Escalate(background, EscalateOptions{Reason: AskedForHuman, Data: map[string]any{"topic": "invoice"}})
			if err != nil {
				t.Error(err)
			}
			ended <- result
		}()
		command := expect[*pb.AgentItem_Command](s).Command
		if command.GetEscalate().GetData().AsMap()["topic"] != "invoice" {
			t.Fatal(command)
		}
		s.result(command, &pb.CommandResult{Pending: true})
		s.unassign(7, cause)
		if outcome := receive(t, ended).GetOutcome(); outcome != want {
			t.Errorf("%v: %v", cause, outcome)
		}
	}
}

func TestAudioComesAsItWasSent(t *testing.T) {
	_, _, s, call := taken(t, AgentOptions{})
	s.send(
		&pb.GatewayItem{Item: &pb.GatewayItem_Audio{Audio: &pb.CallAudio{Handle: 7, Position: 800, Pcm: []byte{1, 2}}}},
		&pb.GatewayItem{Item: &pb.GatewayItem_Audio{Audio: &pb.CallAudio{Handle: 8, Pcm: []byte{9, 9}}}},
		&pb.GatewayItem{Item: &pb.GatewayItem_AudioGap{AudioGap: &pb.AudioGap{Handle: 7, From: 801, Duration: durationpb.New(time.Second), Reason: 1}}},
	)
	audio, err := call.Audio().Next(background)
	if err != nil || !bytes.Equal(audio.PCM, []byte{1, 2}) || audio.At != 100*time.Millisecond {
		t.Fatal(audio, err)
	}
	if gap, err := call.Audio().Next(background); err != nil || gap.GapReason != "SLOW_RECEIVER" || gap.Gap != time.Second {
		t.Fatal(gap, err)
	}
}

func TestRefusedItems(t *testing.T) {
	told := make(chan error, 4)
	_, _, s, call := taken(t, AgentOptions{OnError: func(err error, _ string) { told <- err }})
	refuse := func(item string, reason pb.ErrorReason) {
		s.send(&pb.GatewayItem{Item: &pb.GatewayItem_ItemRefused{ItemRefused: &pb.ItemRefused{Handle: 7, Item: item, Error: &pb.Error{Code: 9, Reason: reason}}}})
	}
	mark, _ := call.Mark("x")
	expect[*pb.AgentItem_Mark](s)
	refuse("mark", pb.ErrorReason_ERROR_REASON_LIMIT_REACHED)
	if end, _ := mark.Wait(background); end != Cleared {
		t.Fatal(end)
	}
	if err := call.Queue(say(1)); err != nil {
		t.Fatal(err)
	}
	first := expect[*pb.AgentItem_Audio](s).Audio.GetPcm()
	refuse("audio", pb.ErrorReason_ERROR_REASON_PLAYBACK_FULL)
	if again := expect[*pb.AgentItem_Audio](s).Audio.GetPcm(); !bytes.Equal(first, again) {
		t.Fatal("the refused audio is sent again")
	}
	refuse("audio", pb.ErrorReason_ERROR_REASON_INTERNAL)
	if err := receive(t, told); !errors.Is(err, Reason("INTERNAL")) {
		t.Fatal(err)
	}
	refuse("audio", pb.ErrorReason_ERROR_REASON_STALE_HANDLE)
	<-call.Ended()
	if call.End().Cause != CauseLost {
		t.Fatal(call.End())
	}
}

func TestContextVerbsOfACall(t *testing.T) {
	g, _, _, call := taken(t, AgentOptions{})
	turn := &pb.Turn{Role: TurnCaller, Text: "hello"}
	response, err := call.AppendTurns(background, turn)
	if err != nil || response.GetTurnCount() != 1 {
		t.Fatal(response, err)
	}
	sent := g.appended[0].GetTurns()[0]
	if g.appended[0].GetCallId() != "c-1" || sent.GetId() == "" || sent.GetTime() == nil || turn.GetId() != "" {
		t.Fatal(sent, turn)
	}
}
