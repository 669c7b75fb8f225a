package callweave

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// Handler is what an agent does with a call. It runs once per call, in a goroutine of its own. Its context ends when the
// agent does not have the call any more, with CallOver as its cause; what it returns after that is no error. When it returns
// nil, the agent leaves the call (see KeepAfterReturn). When it returns an error or panics, OnError is told, the seat is
// given back and the call is offered to the next agent; other calls do not notice.
type Handler func(ctx context.Context, call *Call) error

// StatusKind says what became of the connection of an agent.
type StatusKind string

const (
	// StatusConnected: registered, or reattached. See GatewayID.
	StatusConnected StatusKind = "CONNECTED"
	// StatusDisconnected: the stream broke, or none could be made. See Err and RetryIn.
	StatusDisconnected StatusKind = "DISCONNECTED"
	// StatusGoingAway: the gateway goes away: its calls go on until the Deadline, new ones are taken elsewhere.
	StatusGoingAway StatusKind = "GOING_AWAY"
	// StatusDraining: no new calls.
	StatusDraining StatusKind = "DRAINING"
	// StatusClosed: it is over.
	StatusClosed StatusKind = "CLOSED"
)

// Status is what became of the connection of an agent.
type Status struct {
	// What.
	Kind StatusKind
	// The gateway, with StatusConnected.
	GatewayID string
	// Why, with StatusDisconnected.
	Err error
	// When the next attempt is, with StatusDisconnected.
	RetryIn time.Duration
	// How long calls go on, with StatusGoingAway.
	Deadline time.Duration
}

// Agent is an agent process: it registers, takes calls, runs the handler for each, and comes back after lost connections.
type Agent struct {
	options  AgentOptions
	handler  Handler
	requests *connection
	contexts *Contexts
	tell     notifier
	// Closed when a gateway has answered, and when all is over.
	registered chan struct{}
	over       chan struct{}
	// Something changed that draining waits for.
	change chan struct{}

	// Never held while a session is locked by the same goroutine's callee: sessions call in here, not the other way round.
	mu           sync.Mutex
	sessions     []*session
	current      *session
	begun        bool
	ending       bool
	closing      bool
	finishing    bool
	err          *Error
	outage       bool
	isRegistered bool
}

// NewAgent makes an agent; Run lets it take calls. InvalidField: an option breaks its rule.
func NewAgent(options AgentOptions, handler Handler) (*Agent, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	if handler == nil {
		return nil, invalidField("handler", "given", nil)
	}
	a := &Agent{
		options: options, handler: handler, requests: &connection{options: options.ConnectionOptions},
		registered: make(chan struct{}), over: make(chan struct{}), change: make(chan struct{}, 1),
	}
	a.contexts = &Contexts{connection: a.requests}
	return a, nil
}

// InstanceID is this process, as registered first.
func (a *Agent) InstanceID() string { return a.options.InstanceID }

// Calls are the calls that the agent has now.
func (a *Agent) Calls() []*Call {
	var calls []*Call
	for _, s := range a.allSessions() {
		s.mu.Lock()
		for _, call := range s.calls {
			calls = append(calls, call)
		}
		s.mu.Unlock()
	}
	return calls
}

// Start registers and returns when the first gateway has answered, however long that takes, or when ctx ends. It fails when
// it can never work: Unauthenticated, PoolNotFound, InvalidField, Transport with codes.Unimplemented (no gateway of this
// contract), or Closed.
func (a *Agent) Start(ctx context.Context) error {
	a.begin()
	select {
	case <-a.registered:
	case <-a.over:
	case <-ctx.Done():
		return contextError(ctx)
	}
	select {
	case <-a.over:
		if err := a.fault(); err != nil {
			return err
		}
		return closedError("agent")
	default:
		return nil
	}
}

// Run takes calls until ctx ends; then it drains: no new calls, wait for those there are, at most DrainTimeout, give the rest
// back. It also returns after Drain or Close. It fails when it cannot go on: Unauthenticated, PoolNotFound, InvalidField,
// Superseded, Transport with codes.Unimplemented. For SIGTERM give it the context of signal.NotifyContext.
func (a *Agent) Run(ctx context.Context) error {
	if ctx.Err() == nil {
		a.begin()
	}
	select {
	case <-ctx.Done():
		_ = a.Drain(context.Background())
	case <-a.over:
	}
	<-a.over
	if err := a.fault(); err != nil {
		return err
	}
	return nil
}

// Drain takes no more calls, waits for those there are, at most DrainTimeout or until ctx ends, then gives the rest back and
// closes.
func (a *Agent) Drain(ctx context.Context) error {
	a.mu.Lock()
	first := !a.ending
	a.ending = true
	a.mu.Unlock()
	if !first {
		select {
		case <-a.over:
			return nil
		case <-ctx.Done():
			return a.Close()
		}
	}
	a.tellStatus(Status{Kind: StatusDraining})
	for _, s := range a.allSessions() {
		s.drain()
	}
	timer := time.NewTimer(a.options.DrainTimeout)
	defer timer.Stop()
	for a.busy() {
		select {
		case <-a.change:
			continue
		case <-timer.C:
		case <-ctx.Done():
		case <-a.over:
		}
		break
	}
	return a.Close()
}

// Close gives all calls back at once and closes.
func (a *Agent) Close() error {
	a.mu.Lock()
	first := !a.closing
	a.ending, a.closing = true, true
	a.mu.Unlock()
	if !first {
		<-a.over
		return nil
	}
	for _, s := range a.allSessions() {
		s.close()
	}
	a.finish(nil)
	return nil
}

// Reauthenticate sends a fresh token on the streams there are, before the old one expires. New streams ask TokenSource.
func (a *Agent) Reauthenticate(token string) {
	for _, s := range a.allSessions() {
		s.reauthenticate(token)
	}
}

func (a *Agent) allSessions() []*session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.sessions)
}

func (a *Agent) fault() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		return nil
	}
	return a.err
}

func (a *Agent) busy() bool {
	for _, s := range a.allSessions() {
		s.mu.Lock()
		busy := len(s.calls) > 0 || len(s.offers) > 0
		s.mu.Unlock()
		if busy {
			return true
		}
	}
	return false
}

func (a *Agent) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.begun && !a.ending {
		a.begun = true
		a.add(newSession(a, a.options.InstanceID, 0))
	}
}

// add starts a session; under the lock.
func (a *Agent) add(s *session) {
	a.current = s
	a.sessions = append(a.sessions, s)
	go func() {
		s.run()
		a.mu.Lock()
		a.sessions = slices.DeleteFunc(a.sessions, func(other *session) bool { return other == s })
		fatal := s.err != nil && s == a.current
		a.mu.Unlock()
		a.changed()
		if fatal {
			a.finish(s.err)
		}
	}()
}

// finish: all is over.
func (a *Agent) finish(err *Error) {
	a.mu.Lock()
	if a.finishing {
		a.mu.Unlock()
		return
	}
	a.finishing, a.ending, a.closing = true, true, true
	a.err = err
	a.mu.Unlock()
	for _, s := range a.allSessions() {
		s.close()
	}
	a.requests.close()
	a.tellStatus(Status{Kind: StatusClosed})
	close(a.over)
}

// What sessions tell; some of it under their lock.

func (a *Agent) connected(gatewayID string) {
	a.mu.Lock()
	if !a.isRegistered {
		a.isRegistered = true
		close(a.registered)
	}
	a.mu.Unlock()
	a.tellStatus(Status{Kind: StatusConnected, GatewayID: gatewayID})
}

func (a *Agent) goingAway(from *session, deadline time.Duration) {
	a.tellStatus(Status{Kind: StatusGoingAway, Deadline: deadline})
	a.mu.Lock()
	next := from == a.current && !a.ending
	if next {
		// Another instance id: the old session lives on for its calls.
		a.add(newSession(a, newID(), from.endpoint+1))
	}
	a.mu.Unlock()
	go func() {
		from.drain()
		a.closeIdle()
	}()
}

// closeIdle closes sessions that only kept their calls and have none any more.
func (a *Agent) closeIdle() {
	a.mu.Lock()
	current := a.current
	a.mu.Unlock()
	for _, s := range a.allSessions() {
		s.mu.Lock()
		idle := s != current && len(s.calls) == 0
		s.mu.Unlock()
		if idle {
			s.close()
		}
	}
}

// changed: a call is over, or a session.
func (a *Agent) changed() {
	select {
	case a.change <- struct{}{}:
	default:
	}
}

// assigned starts the handler of a call, once it is answered if accepting answers; under the lock of the session.
func (a *Agent) assigned(call *Call) {
	call.begin = func() { go a.handle(call) }
	if a.options.ManualAnswer || call.info.GetState() != Pending {
		call.start()
	}
}

func (a *Agent) handle(call *Call) {
	defer a.closeIdle()
	if call.isOver() {
		return
	}
	err := guard(func() error { return a.handler(call.ctx, call) })
	if call.isOver() {
		// A panic is told in any case: it is a fault of the program.
		if known := toError(err); known != nil && known.Reason == HandlerPanicked {
			a.tellError(err, call.id)
		}
		<-call.ended
		return
	}
	if err != nil {
		a.tellError(err, call.id)
		a.leave(call, call.Release(context.Background()))
	} else if !a.options.KeepAfterReturn {
		// A command of the handler that still waits or runs goes first: then this one is refused, which is right.
		switch call.State() {
		case Connected:
			a.leave(call, call.Close(context.Background(), CloseOptions{}))
		case Pending:
			a.leave(call, call.Release(context.Background()))
		default:
			after := After{Condition: AfterDrained, Deadline: 120 * time.Second, OnInterrupt: InterruptProceeds}
			a.leave(call, call.Disconnect(context.Background(), DisconnectOptions{After: after}))
		}
	}
	<-call.ended
}

// leave tells what went wrong; that the call ended meanwhile, or is ending in another way, was wanted.
func (a *Agent) leave(call *Call, err error) {
	expected := []Reason{CallOver, CallState, PendingCommand, SeatNotHeld, CommandCancelled, CallNotFound}
	if known := toError(err); known != nil && !slices.Contains(expected, known.Reason) {
		a.tellError(known, call.id)
	}
}

func (a *Agent) tellStatus(status Status) {
	tell := a.options.OnStatus
	if tell == nil {
		tell = a.logStatus
	}
	a.tell.post(func() { tell(status) })
}

// logStatus says it once per outage, so that an agent without a gateway does not look as if it worked.
func (a *Agent) logStatus(status Status) {
	switch {
	case status.Kind == StatusConnected && a.outage:
		fmt.Fprintln(os.Stderr, "callweave: connected")
		a.outage = false
	case status.Kind == StatusDisconnected && !a.outage:
		fmt.Fprintln(os.Stderr, "callweave: no connection, trying again:", status.Err)
		a.outage = true
	}
}

func (a *Agent) tellError(err error, callID string) {
	tell := a.options.OnError
	if tell == nil {
		tell = logError
	}
	a.tell.post(func() { tell(err, callID) })
}

func logError(err error, callID string) {
	if callID != "" {
		callID = "call " + callID + ": "
	}
	fmt.Fprintf(os.Stderr, "callweave: %s%v\n", callID, err)
}

// notifier calls functions of the program one at a time, in order, without holding up whoever tells. At most 1,000 wait, then
// the oldest is dropped.
type notifier struct {
	mu      sync.Mutex
	waiting []func()
	running bool
}

func (n *notifier) post(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.waiting) >= mostStatuses {
		n.waiting = n.waiting[1:]
	}
	n.waiting = append(n.waiting, f)
	if !n.running {
		n.running = true
		go n.run()
	}
}

func (n *notifier) run() {
	for {
		n.mu.Lock()
		if len(n.waiting) == 0 {
			n.running = false
			n.mu.Unlock()
			return
		}
		f := n.waiting[0]
		n.waiting = n.waiting[1:]
		n.mu.Unlock()
		if err := guard(func() error { f(); return nil }); err != nil {
			logError(err, "")
		}
	}
}
