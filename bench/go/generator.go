package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	caller = "+15550100"
	callee = "+15550101"
	// For frames on their way when the window closes.
	stragglerTime = 1000 * time.Millisecond
	startTimeout  = 60 * time.Second
	// From the last call that was placed until all are answered.
	answerTimeout = 30 * time.Second
	gcPercent     = 400
)

type session struct {
	id    string
	token string
	call  *mediaCall
	// The control connection that claimed it.
	owner *control
}

// provider plays the provider's side. It plays, records and mixes nothing, so that it does not limit what it measures.
type provider struct {
	port    int
	credit  credit
	traffic *traffic
	pacer   *pacer

	mu       sync.Mutex
	sessions map[string]*session
	floor    map[int]*mediaCall
	controls []*control
	calls    int
	upgrader websocket.Upgrader
}

func runGenerator(arguments []string) error {
	flags := flag.NewFlagSet("generator", flag.ContinueOnError)
	first := flags.Int("first-credit", 50, "frames asked for at the beginning")
	refill := flags.Int("refill", 5, "frames used after which they are asked for again")
	holdUp := flags.Duration("hold-up", 0, "a planted fault: turns are late by so much")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p := &provider{
		port:     listener.Addr().(*net.TCPAddr).Port,
		credit:   credit{First: *first, Refill: *refill},
		traffic:  newTraffic(),
		pacer:    &pacer{holdUp: *holdUp},
		sessions: map[string]*session{},
		floor:    map[int]*mediaCall{},
		upgrader: websocket.Upgrader{ReadBufferSize: 4096, WriteBufferSize: 2048},
	}
	go p.pacer.run()
	go func() { fatal(http.Serve(listener, p)) }()
	return answerMain(handlers{
		"placeCalls":      p.placeCalls,
		"waitForFloor":    p.waitForFloor,
		"waitForControls": p.waitForControls,
		"claims":          p.claims,
		"answeredCalls":   p.answeredCalls,
		"openWindow": func(json.RawMessage) (any, error) {
			p.traffic.openWindow()
			return nil, nil
		},
		"closeWindow": func(json.RawMessage) (any, error) {
			p.traffic.closeWindow()
			time.Sleep(stragglerTime)
			return p.traffic.result(), nil
		},
	}, map[string]int{"port": p.port})
}

// ServeHTTP takes control and media connections, the bare relay's, and tells the list of sessions.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		p.serveList(w, r)
		return
	}
	take := p.whatFor(r)
	if take == nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	socket, err := p.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	take(socket)
}

func (p *provider) whatFor(r *http.Request) func(*websocket.Conn) {
	if r.URL.Path == "/v1/agent/session-manager" {
		if r.Header.Get("x-api-key") == "" {
			return nil
		}
		return p.signIn
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if id, ok := strings.CutPrefix(r.URL.Path, "/floor/"); ok {
		index, err := strconv.Atoi(id)
		if err != nil {
			return nil
		}
		call := newMediaCall(index, id, p.traffic, p.pacer, false, p.credit)
		p.floor[index] = call
		return call.attach
	}
	id, _ := strings.CutPrefix(r.URL.Path, "/media/")
	s := p.sessions[id]
	if s == nil || r.Header.Get("authorization") != "Bearer "+s.token {
		return nil
	}
	return s.call.attach
}

func (p *provider) serveList(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("content-type", "application/json")
	if r.URL.Path != "/public/v1/sessions" {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"code":"NOT_FOUND","message":""}`))
		return
	}
	p.mu.Lock()
	items := make([]any, 0, len(p.sessions))
	for _, s := range p.sessions {
		items = append(items, s.view())
	}
	p.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{"items": items})
}

// placeCalls places calls one after the other, without waiting for each, and returns when all are answered.
func (p *provider) placeCalls(argument json.RawMessage) (any, error) {
	var ask struct {
		Count   int     `json:"count"`
		EveryMs float64 `json:"everyMs"`
	}
	if err := json.Unmarshal(argument, &ask); err != nil {
		return nil, err
	}
	placed := make([]*session, 0, ask.Count)
	for range ask.Count {
		placed = append(placed, p.place())
		time.Sleep(time.Duration(ask.EveryMs * float64(time.Millisecond)))
	}
	up := func() bool { return countUp(placed) == len(placed) }
	if err := until(up, "answered calls", answerTimeout); err != nil {
		return nil, fmt.Errorf("%d of %d: %w", countUp(placed), ask.Count, err)
	}
	times := make([]callTimes, len(placed))
	for i, s := range placed {
		s.call.mu.Lock()
		times[i] = s.call.times
		s.call.mu.Unlock()
	}
	return times, nil
}

func countUp(sessions []*session) int {
	count := 0
	for _, s := range sessions {
		if s.call.up.Load() {
			count++
		}
	}
	return count
}

// answeredCalls places calls and tells after some time how many were answered: for what cannot take them all.
func (p *provider) answeredCalls(argument json.RawMessage) (any, error) {
	var ask struct {
		Count    int `json:"count"`
		EveryMs  int `json:"everyMs"`
		WithinMs int `json:"withinMs"`
	}
	if err := json.Unmarshal(argument, &ask); err != nil {
		return nil, err
	}
	var placed []*session
	for range ask.Count {
		placed = append(placed, p.place())
		time.Sleep(time.Duration(ask.EveryMs) * time.Millisecond)
	}
	_ = until(func() bool { return countUp(placed) == ask.Count }, "", time.Duration(ask.WithinMs)*time.Millisecond)
	return map[string]int{"answered": countUp(placed)}, nil
}

func (p *provider) waitForFloor(argument json.RawMessage) (any, error) {
	return p.waitForCount(argument, "connections of the relay", func() int {
		up := 0
		for _, call := range p.floor {
			if call.up.Load() {
				up++
			}
		}
		return up
	})
}

func (p *provider) waitForControls(argument json.RawMessage) (any, error) {
	return p.waitForCount(argument, "control connections", func() int { return len(p.controls) })
}

// waitForCount waits until there are as many as asked for; count is called under the lock.
func (p *provider) waitForCount(argument json.RawMessage, what string, count func() int) (any, error) {
	var ask struct {
		Count int `json:"count"`
	}
	if err := json.Unmarshal(argument, &ask); err != nil {
		return nil, err
	}
	return nil, until(func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return count() == ask.Count
	}, fmt.Sprintf("%d %s", ask.Count, what), startTimeout)
}

func (p *provider) claims(json.RawMessage) (any, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := make([]int, len(p.controls))
	for i, c := range p.controls {
		counts[i] = c.claims
	}
	return counts, nil
}
