package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"strings"

	"callweave.dev/go"
)

// start makes an agent that does what it is told, and registers it.
func (p *program) start(a *arguments) (fields, error) {
	options := callweave.AgentOptions{
		ConnectionOptions: callweave.ConnectionOptions{Endpoints: a.Endpoints, Token: a.Token},
		AgentID:           a.AgentID, InstanceID: a.InstanceID, Pool: a.Pool, Capacity: a.Capacity,
		ManualAnswer: a.AnswerOnAccept != nil && !*a.AnswerOnAccept, NoHeartbeat: a.Heartbeat != nil && !*a.Heartbeat,
		NoAudio: a.NoAudio, SendAhead: ms(a.SendAheadMs), MaxAudioQueued: ms(a.MaxAudioQueuedMs),
		MaxPlaybackQueued: ms(a.MaxPlaybackQueuedMs), ReattachTimeout: ms(a.ReattachTimeoutMs),
		MaxStreams: a.MaxStreams, CallsPerStream: a.CallsPerStream,
		KeepAfterReturn: true, OnStatus: report, OnError: reportError,
	}
	if options.AgentID == "" {
		options.AgentID = "agent"
	}
	if err := credentials(a, &options.ConnectionOptions); err != nil {
		return nil, err
	}
	if a.SampleRateHertz != 0 {
		options.AudioFormat = callweave.Format(a.SampleRateHertz)
	}
	if a.Decline != "" {
		options.Accept = func(context.Context, *callweave.Offer) error { return errors.New(a.Decline) }
	}
	agent, err := callweave.NewAgent(options, func(ctx context.Context, call *callweave.Call) error {
		return p.handle(ctx, call, a.Handler)
	})
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.agent = agent
	p.mu.Unlock()
	if err := agent.Start(context.Background()); err != nil {
		return nil, err
	}
	go func() {
		if err := agent.Run(context.Background()); err != nil {
			say(fields{"event": "over", "reason": told(err)["reason"]})
		}
	}()
	return fields{"instanceId": agent.InstanceID()}, nil
}

// credentials reads what the files of the scenario say.
func credentials(a *arguments, options *callweave.ConnectionOptions) error {
	if a.TLS || a.CaFile != "" {
		options.TLS = &tls.Config{}
	}
	if a.CaFile != "" {
		pem, err := os.ReadFile(a.CaFile)
		if err != nil {
			return err
		}
		options.TLS.RootCAs = x509.NewCertPool()
		options.TLS.RootCAs.AppendCertsFromPEM(pem)
	}
	if a.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
		if err != nil {
			return err
		}
		options.TLS.Certificates = []tls.Certificate{pair}
	}
	if a.TokenFile != "" {
		options.TokenSource = func(context.Context) (string, error) {
			token, err := os.ReadFile(a.TokenFile)
			return string(token), err
		}
	}
	return nil
}

func report(status callweave.Status) {
	switch status.Kind {
	case callweave.StatusConnected:
		say(fields{"event": "status", "status": "connected"})
	case callweave.StatusDisconnected:
		say(fields{"event": "status", "status": "disconnected", "reason": told(status.Err)["reason"]})
	case callweave.StatusGoingAway:
		say(fields{"event": "status", "status": "goingAway"})
	}
}

func reportError(err error, call string) {
	line := told(err)
	line["event"] = "error"
	if call != "" {
		line["call"] = call
	}
	say(line)
}

func (p *program) handle(ctx context.Context, call *callweave.Call, handler string) error {
	p.mu.Lock()
	p.calls[call.ID()] = call
	p.mu.Unlock()
	go follow(call, call.Subscribe())
	info := call.Info()
	line := fields{
		"event": "call", "call": call.ID(), "epoch": call.Epoch(), "attempt": call.Attempt(),
		"state":  strings.TrimPrefix(info.GetState().String(), "CALL_STATE_"),
		"caller": info.GetCaller(), "callee": info.GetCallee(), "sampleRateHertz": call.Format().GetSampleRateHertz(),
	}
	if reason := call.EscalationReason(); reason != 0 {
		line["escalationReason"] = strings.TrimPrefix(reason.String(), "ESCALATION_REASON_")
	}
	if context := call.OfferedContext(); context != nil {
		line["summary"], line["turns"] = context.GetSummary(), len(context.GetTurns())
	}
	say(line)
	if handler == "throw" && call.Attempt() == 1 {
		panic("told to throw")
	}
	if handler == "echo" {
		inBackground(call.ID(), func() error { return echo(ctx, call, 300) })
	}
	return nil
}

// follow reports what happens to a call, and its end.
func follow(call *callweave.Call, updates *callweave.Subscription) {
	for {
		update, err := updates.Next(context.Background())
		if err != nil {
			break
		}
		if update.Connection != "" {
			say(fields{"event": "attached", "call": call.ID(), "attached": update.Connection == callweave.ConnectionBack})
		}
		if note := update.Note; note != nil {
			say(fields{"event": "note", "call": call.ID(), "text": note.GetText(), "author": note.GetAuthor()})
		}
	}
	<-call.Ended()
	end := call.End()
	line := fields{"event": "ended", "call": call.ID(), "cause": end.Cause}
	if end.EndReason != 0 {
		line["endReason"] = strings.TrimPrefix(end.EndReason.String(), "END_REASON_")
	}
	say(line)
}

// inBackground lets something run; its error is reported.
func inBackground(call string, work func() error) {
	go func() {
		if err := work(); err != nil {
			reportError(err, call)
		}
	}()
}

// echo plays back what the call says. The first keepBack milliseconds are held back once, so that jitter makes no holes.
func echo(ctx context.Context, call *callweave.Call, keepBack int) error {
	most := keepBack * int(call.Format().GetSampleRateHertz()) / 1000 * 2
	var early []byte
	for chunk := range call.Audio().Chunks(ctx) {
		if chunk.IsGap() {
			reportGap(call.ID(), chunk)
			continue
		}
		pcm := chunk.PCM
		if most > 0 {
			if early = append(early, pcm...); len(early) < most {
				continue
			}
			pcm, most = early, 0
		}
		if _, err := call.Play(ctx, pcm); errors.Is(err, callweave.CallOver) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

func reportGap(call string, chunk callweave.Chunk) {
	say(fields{"event": "gap", "call": call, "gapMs": inMs(chunk.Gap), "reason": chunk.GapReason})
}

// recorder appends audio to a file, and reports gaps.
type recorder struct {
	file *os.File
	call string
}

func newRecorder(name, call string) (*recorder, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	return &recorder{file, call}, err
}

// run takes chunks until next gives an error.
func (r *recorder) run(next func() (callweave.Chunk, error)) error {
	defer r.file.Close()
	for {
		chunk, err := next()
		if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
			return nil
		} else if err != nil {
			return err
		}
		if chunk.IsGap() {
			reportGap(r.call, chunk)
		} else if _, err := r.file.Write(chunk.PCM); err != nil {
			return err
		}
	}
}
