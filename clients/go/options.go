package callweave

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/grpc"
)

// ConnectionOptions say how to reach a gateway. The zero value reaches one on this machine.
type ConnectionOptions struct {
	// "host:port". Default: the environment variable CALLWEAVE_ENDPOINT, else "127.0.0.1:7070".
	Endpoint string
	// Several gateways; the next one is tried when one cannot be reached or goes away. Default: Endpoint alone.
	Endpoints []string
	// The bearer token. Default: the environment variable CALLWEAVE_TOKEN.
	Token string
	// Asked for a fresh token for each stream and request, in the place of Token. It has to answer before its context
	// ends; an error fails that attempt.
	TokenSource func(ctx context.Context) (string, error)
	// TLS; &tls.Config{} uses the authorities of this machine. Default: nil, plain text. Use it off the machine: tokens
	// travel in it.
	TLS *tls.Config
	// How long a unary request may take with its token, its Wait not counted. 1 ms to 10 min. Default: 10 s.
	RequestTimeout time.Duration
	// How often a silent connection is probed. 10 s to 24 h. Default: 20 s.
	Keepalive time.Duration
	// Further options of grpc-go, over those of this library: interceptors, stats handlers. Default: none.
	DialOptions []grpc.DialOption
}

// AgentOptions say what an agent takes and how. AgentID is required.
type AgentOptions struct {
	ConnectionOptions

	// The agent, shared by its processes: 1 to 64 of A-Z a-z 0-9 . _ -
	AgentID string
	// This process. Default: a UUID.
	InstanceID string
	// The pool to take calls from. Default: "default".
	Pool string
	// How many calls at a time, 1 to 1,000; offers beyond it are declined. For more, run more processes. Default: 1.
	Capacity int
	// The format of audio both ways. Default: s16le at the rate of each call.
	AudioFormat *pb.AudioFormat
	// At most 16, for people: language, version. Default: none.
	Labels map[string]string
	// Taking a call does not answer it: the handler runs in PENDING and calls Answer. Default: false, the handler runs once
	// the call is answered (or in PENDING, if that failed).
	ManualAnswer bool
	// No heartbeat is sent, so a frozen process is found by HTTP/2 keepalive alone. Default: false.
	NoHeartbeat bool
	// The agent only speaks and commands; Audio stays empty. Default: false.
	NoAudio bool
	// Which offers to take: an error declines, its text is the reason. Its context ends with the offer. A panic declines
	// too. Default: all, up to the capacity.
	Accept func(ctx context.Context, offer *Offer) error
	// 0 to 1: offers go to low loads first. Default: calls by capacity.
	Load func() float64
	// Leaves a call as it is when its handler returns nil. Default: false: in CONNECTED the agent leaves, in ANSWERED the
	// call ends when all audio was heard, in PENDING the seat is given back.
	KeepAfterReturn bool
	// How many calls share a stream before a further one is opened, each on its own connection. 1 to 1,000. Default: 64.
	CallsPerStream int
	// At most so many streams. 1 to 16. Default: 4.
	MaxStreams int
	// How far beyond what was heard audio is sent; the rest waits in the library. 100 ms to 20 s. Default: 1 s.
	SendAhead time.Duration
	// How much a call may have waiting to be played; full: Play gives QueueFull. 100 ms to 1 h. Default: 60 s.
	MaxPlaybackQueued time.Duration
	// How much unread audio of a call is kept; full: the oldest is dropped, told as a gap. 20 ms to 10 min. Default: 2 s.
	MaxAudioQueued time.Duration
	// How many marks of a call may wait; full: Mark gives QueueFull. 1 to 1,000. Default: 1,000.
	MaxMarks int
	// How many updates of a call may wait for one subscription; full: it reads what waits, then QueueFull. 1 to 100,000.
	// Default: 1,000.
	MaxUpdatesQueued int
	// How many control items may wait for a stream; full: the stream is given up and reattached. 100 to 1,000,000.
	// Default: 10,000.
	MaxControlItems int
	// How long the token and the answer of a gateway to a new stream may take together; passed: the next attempt. 100 ms to
	// 10 min. Default: 5 s.
	ConnectTimeout time.Duration
	// After a lost stream calls end here with LOST after this long. 1 ms to 1 h. Default: the gateway's grace plus 13 s, so
	// that another gateway may take them over.
	ReattachTimeout time.Duration
	// How long draining waits for calls to end before it gives them back. 1 ms to 24 h. Default: 30 s.
	DrainTimeout time.Duration
	// What became of the connection; one at a time, in order. Default: a line on standard error when it is lost or back.
	OnStatus func(Status)
	// A handler failed, or an item was refused; one at a time, in order. callID is empty when it is about no call. Default:
	// a line on standard error.
	OnError func(err error, callID string)
}

// The bounds of a message; less when the gateway says so.
const (
	maxMessageItems = 256
	maxMessageBytes = 256 * 1024
)

// Waits that are no options.
const (
	tickEvery          = 50 * time.Millisecond
	maxItem            = 100 * time.Millisecond
	maxUnconfirmedMore = 2 * time.Second
	defaultGrace       = 2 * time.Second
	defaultHeartbeat   = 500 * time.Millisecond
	defaultMaxPlayback = 30 * time.Second
	endTimeout         = 2 * time.Second
	takeoverTime       = 13 * time.Second
	stableAfter        = 2 * time.Second
	outcomeWait        = 5 * time.Second
	deadlineSlack      = 50 * time.Millisecond
	keepaliveTimeout   = 5 * time.Second
	windowBytes        = 1 << 20
	connWindowBytes    = 16 << 20
	mostStatuses       = 1000
	defaultEndpoint    = "127.0.0.1:7070"
	defaultPool        = "default"
)

// checks collects the first option that breaks its rule.
type checks struct{ err error }

// number fills in the default and checks the range.
func number[N int | time.Duration](c *checks, name string, value *N, def, least, most N) {
	if *value == 0 {
		*value = def
	}
	if c.err == nil && (*value < least || *value > most) {
		c.err = invalidField(name, fmt.Sprintf("from %v to %v", least, most), *value)
	}
}

// withDefaults fills in the defaults of a connection. Gives InvalidField.
func (o ConnectionOptions) withDefaults() (ConnectionOptions, error) {
	if len(o.Endpoints) == 0 {
		o.Endpoints = []string{cmp.Or(o.Endpoint, os.Getenv("CALLWEAVE_ENDPOINT"), defaultEndpoint)}
	}
	for _, endpoint := range o.Endpoints {
		if endpoint == "" {
			return o, invalidField("Endpoints", `at least one "host:port"`, o.Endpoints)
		}
	}
	o.Token = cmp.Or(o.Token, os.Getenv("CALLWEAVE_TOKEN"))
	var c checks
	number(&c, "RequestTimeout", &o.RequestTimeout, 10*time.Second, time.Millisecond, 10*time.Minute)
	number(&c, "Keepalive", &o.Keepalive, 20*time.Second, 10*time.Second, 24*time.Hour)
	return o, c.err
}

// withDefaults fills in the defaults of an agent. Gives InvalidField.
func (o AgentOptions) withDefaults() (AgentOptions, error) {
	connection, err := o.ConnectionOptions.withDefaults()
	if err != nil {
		return o, err
	}
	o.ConnectionOptions = connection
	if !validName(o.AgentID) {
		return o, invalidField("AgentID", "1 to 64 of A-Z a-z 0-9 . _ -", o.AgentID)
	}
	if o.InstanceID == "" {
		o.InstanceID = newID()
	}
	o.Pool = cmp.Or(o.Pool, defaultPool)
	var c checks
	number(&c, "Capacity", &o.Capacity, 1, 1, 1000)
	number(&c, "CallsPerStream", &o.CallsPerStream, 64, 1, 1000)
	number(&c, "MaxStreams", &o.MaxStreams, 4, 1, 16)
	number(&c, "MaxMarks", &o.MaxMarks, 1000, 1, 1000)
	number(&c, "MaxUpdatesQueued", &o.MaxUpdatesQueued, 1000, 1, 100_000)
	number(&c, "MaxControlItems", &o.MaxControlItems, 10_000, 100, 1_000_000)
	number(&c, "SendAhead", &o.SendAhead, time.Second, 100*time.Millisecond, 20*time.Second)
	number(&c, "MaxPlaybackQueued", &o.MaxPlaybackQueued, time.Minute, 100*time.Millisecond, time.Hour)
	number(&c, "MaxAudioQueued", &o.MaxAudioQueued, 2*time.Second, 20*time.Millisecond, 10*time.Minute)
	number(&c, "ConnectTimeout", &o.ConnectTimeout, 5*time.Second, 100*time.Millisecond, 10*time.Minute)
	number(&c, "DrainTimeout", &o.DrainTimeout, 30*time.Second, time.Millisecond, 24*time.Hour)
	if o.ReattachTimeout != 0 {
		number(&c, "ReattachTimeout", &o.ReattachTimeout, 0, time.Millisecond, time.Hour)
	}
	return o, c.err
}

func validName(name string) bool {
	for _, r := range name {
		switch {
		case r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
		default:
			return false
		}
	}
	return len(name) >= 1 && len(name) <= 64
}
