package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	framesPerMark    = 50
	heartbeatEvery   = 500 * time.Millisecond
	streamWindow     = 1 << 20
	connectionWindow = 16 << 20
)

// agent takes every offer, says back what it hears call by call, sets a mark each second of each call.
type agent struct {
	address string
	dial    []grpc.DialOption
	// The answers to one message are one message; else each is a message of its own, as from independent conversations.
	together bool
	simple   bool
	// The one connection of all streams; nil: each has its own.
	shared     *grpc.ClientConn
	counters   counters
	registered atomic.Int32

	mu    sync.Mutex
	token string
}

// counters say what went wrong or was counted.
type counters struct {
	MarksSet    atomic.Int64
	MarksPlayed atomic.Int64
	Refused     atomic.Int64
	Gaps        atomic.Int64
	OddFrames   atomic.Int64
	mu          sync.Mutex
	lastRefusal string
}

// agentStream is one stream on a connection of its own.
type agentStream struct {
	agent  *agent
	mu     sync.Mutex
	stream grpc.BidiStreamingClient[pb.ServeRequest, pb.ServeResponse]
	// Frames echoed of each call, by handle; only the goroutine that receives knows it.
	frames map[uint32]int
}

func runAgent(arguments []string) error {
	flags := flag.NewFlagSet("agent", flag.ContinueOnError)
	capacity := flags.Int("capacity", 1, "calls at a time")
	streams := flags.Int("streams", 1, "streams of the session, each on its own connection unless told otherwise")
	together := flags.Bool("together", false, "the answers to one message are one message")
	shared := flags.Bool("one-connection", false, "all streams on one connection")
	simple := flags.Bool("simple", false, "the simple form: as many sessions as calls, each of one call, without handles and heartbeats")
	ca := flags.String("tls-ca", "", "file with the authority of the gateway's certificate; without it, no TLS")
	if len(arguments) == 0 {
		return fmt.Errorf("agent ADDRESS [flags]")
	}
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	security, err := transportOf(*ca)
	if err != nil {
		return err
	}
	a := &agent{address: arguments[0], together: *together, simple: *simple, dial: []grpc.DialOption{
		security, grpc.WithNoProxy(),
		grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connectionWindow),
	}}
	if *shared {
		if a.shared, err = grpc.NewClient(a.address, a.dial...); err != nil {
			return err
		}
	}
	if a.simple {
		err = a.openSimple(*capacity)
	} else {
		err = a.openSession(*capacity, *streams)
	}
	if err != nil {
		return err
	}
	return answerMain(handlers{"counters": func(json.RawMessage) (any, error) { return a.counters.told(), nil }}, nil)
}

func transportOf(caFile string) (grpc.DialOption, error) {
	if caFile == "" {
		return grpc.WithTransportCredentials(insecure.NewCredentials()), nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate", caFile)
	}
	return grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})), nil
}

// openSession opens one session with several streams.
func (a *agent) openSession(capacity, streams int) error {
	first, err := a.open(&pb.AgentItem{Item: &pb.AgentItem_Register{Register: &pb.Register{
		AgentId: "bench-echo", Capacity: int32(capacity), AnswerOnAccept: true, Heartbeat: true,
	}}})
	if err != nil {
		return err
	}
	if err := a.waitRegistered(1); err != nil {
		return err
	}
	for range streams - 1 {
		a.mu.Lock()
		token := a.token
		a.mu.Unlock()
		if _, err := a.open(&pb.AgentItem{Item: &pb.AgentItem_Join{Join: &pb.Join{SessionToken: token}}}); err != nil {
			return err
		}
	}
	go func() {
		for range time.Tick(heartbeatEvery) {
			first.send(&pb.AgentItem{Item: &pb.AgentItem_Heartbeat{Heartbeat: &pb.Heartbeat{}}})
		}
	}()
	return a.waitRegistered(streams)
}

// openSimple opens as many sessions as there are calls to be.
func (a *agent) openSimple(capacity int) error {
	for range capacity {
		_, err := a.open(&pb.AgentItem{Item: &pb.AgentItem_Register{Register: &pb.Register{
			AgentId: "bench-echo", Capacity: 1, AnswerOnAccept: true,
		}}})
		if err != nil {
			return err
		}
	}
	return a.waitRegistered(capacity)
}

func (a *agent) waitRegistered(count int) error {
	return until(func() bool { return int(a.registered.Load()) == count }, "Registered", startTimeout)
}

func (a *agent) open(first *pb.AgentItem) (*agentStream, error) {
	conn := a.shared
	if conn == nil {
		var err error
		if conn, err = grpc.NewClient(a.address, a.dial...); err != nil {
			return nil, err
		}
	}
	stream, err := pb.NewAgentServiceClient(conn).Serve(context.Background(), grpc.WaitForReady(true))
	if err != nil {
		return nil, err
	}
	s := &agentStream{agent: a, stream: stream, frames: map[uint32]int{}}
	s.send(first)
	go s.receive()
	return s, nil
}

func (s *agentStream) send(items ...*pb.AgentItem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.stream.Send(&pb.ServeRequest{Items: items}) // an error comes back from Recv
}

func (s *agentStream) receive() {
	var out []*pb.AgentItem
	for {
		message, err := s.stream.Recv()
		if err != nil {
			fatal(fmt.Errorf("the stream ended: %w", err))
		}
		inMs := machineMs()
		for _, item := range message.Items {
			audio := item.GetAudio()
			if audio == nil {
				s.control(item)
				continue
			}
			out = append(out, s.echo(audio, inMs)...)
			if !s.agent.together {
				s.send(out...)
				out = nil
			}
		}
		if len(out) > 0 {
			s.send(out...)
			out = nil
		}
	}
}

func (s *agentStream) echo(audio *pb.CallAudio, inMs float64) []*pb.AgentItem {
	handle := audio.Handle
	if s.agent.simple {
		handle = 0
	}
	if len(audio.Pcm) == frameBytes {
		stampAgent(audio.Pcm, inMs, machineMs())
	} else {
		s.agent.counters.OddFrames.Add(1)
	}
	items := []*pb.AgentItem{{Item: &pb.AgentItem_Audio{Audio: &pb.AgentAudio{Handle: handle, Pcm: audio.Pcm}}}}
	s.frames[handle]++
	if s.frames[handle]%framesPerMark == 0 {
		s.agent.counters.MarksSet.Add(1)
		items = append(items, &pb.AgentItem{Item: &pb.AgentItem_Mark{Mark: &pb.Mark{Handle: handle, Name: "second"}}})
	}
	return items
}

func (s *agentStream) control(item *pb.GatewayItem) {
	a := s.agent
	switch {
	case item.GetRegistered() != nil:
		a.mu.Lock()
		a.token = item.GetRegistered().SessionToken
		a.mu.Unlock()
		a.registered.Add(1)
	case item.GetOffer() != nil:
		s.send(&pb.AgentItem{Item: &pb.AgentItem_Accept{Accept: &pb.Accept{OfferId: item.GetOffer().OfferId}}})
	case item.GetUnassigned() != nil:
		delete(s.frames, item.GetUnassigned().Handle)
	case item.GetMarkReached() != nil:
		a.counters.MarksPlayed.Add(1)
	case item.GetItemRefused() != nil:
		a.counters.refuse(errors.New(item.GetItemRefused().GetError().GetMessage()))
	case item.GetAudioGap() != nil:
		a.counters.Gaps.Add(1)
	}
}

func (c *counters) refuse(why error) {
	c.Refused.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastRefusal = why.Error()
}

// told is what the main process is told.
func (c *counters) told() map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return map[string]any{
		"marksSet": c.MarksSet.Load(), "marksPlayed": c.MarksPlayed.Load(), "refused": c.Refused.Load(),
		"lastRefusal": c.lastRefusal, "gaps": c.Gaps.Load(), "oddFrames": c.OddFrames.Load(),
	}
}
