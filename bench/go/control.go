package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// control is the control connection of a gateway.
type control struct {
	mu     sync.Mutex
	socket *websocket.Conn
	// Sessions it claimed; under the provider's lock.
	claims int
}

type controlFrame struct {
	Type      string `json:"type"`
	RequestID string `json:"reqId"`
	SessionID string `json:"sessionId"`
}

func (c *control) tell(frame map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.socket.WriteJSON(frame)
}

func (c *control) answer(requestID string, content any, errorCode string) {
	frame := map[string]any{
		"type": "response", "reqId": requestID, "ok": errorCode == "", "content": content,
		"errorCode": nil, "errorContent": nil,
	}
	if errorCode != "" {
		frame["errorCode"] = errorCode
	}
	c.tell(frame)
}

func (p *provider) signIn(socket *websocket.Conn) {
	c := &control{socket: socket}
	p.mu.Lock()
	p.controls = append(p.controls, c)
	p.mu.Unlock()
	defer p.signOut(c)
	for {
		_, text, err := socket.ReadMessage()
		if err != nil {
			return
		}
		var frame controlFrame
		if json.Unmarshal(text, &frame) != nil {
			continue
		}
		switch {
		case frame.Type == "setup":
			c.tell(map[string]any{"type": "setup.done", "smWsId": randomID()})
		case frame.Type == "session.open":
			p.claim(c, frame)
		case frame.Type == "session.ready":
			p.ready(c, frame)
		case frame.RequestID != "":
			c.answer(frame.RequestID, map[string]any{}, "")
		}
	}
}

func (p *provider) signOut(c *control) {
	_ = c.socket.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, one := range p.controls {
		if one == c {
			p.controls = append(p.controls[:i:i], p.controls[i+1:]...)
			return
		}
	}
}

// claim gives the session to the first who asks.
func (p *provider) claim(c *control, frame controlFrame) {
	p.mu.Lock()
	s := p.sessions[frame.SessionID]
	code := ""
	switch {
	case s == nil:
		code = "SESSION_NOT_FOUND"
	case s.owner != nil:
		code = "SESSION_BUSY"
	default:
		s.owner = c
		c.claims++
	}
	p.mu.Unlock()
	if code != "" {
		c.answer(frame.RequestID, nil, code)
		return
	}
	s.call.mu.Lock()
	s.call.times.ClaimedMs = machineMs()
	s.call.mu.Unlock()
	c.answer(frame.RequestID, map[string]any{"session": s.view()}, "")
}

func (p *provider) ready(c *control, frame controlFrame) {
	p.mu.Lock()
	s := p.sessions[frame.SessionID]
	mine := s != nil && s.owner == c
	p.mu.Unlock()
	if !mine {
		return
	}
	c.tell(map[string]any{
		"type": "call.in", "sessionId": s.id, "callId": s.call.times.CallID, "orgUuid": "bench",
		"from": caller, "to": callee, "token": s.token,
		"url": fmt.Sprintf("ws://127.0.0.1:%d/media/%s", p.port, s.id),
	})
}

func (s *session) view() map[string]any {
	return map[string]any{
		"id": s.id, "channel": "TELCO", "initiator": "CONNECTOR", "state": "OPEN",
		"remoteAddress": caller, "localAddress": callee, "openedAt": time.Now().Unix(), "closedAt": nil,
	}
}

// place announces a new call to every gateway.
func (p *provider) place() *session {
	p.mu.Lock()
	call := newMediaCall(p.calls, randomID(), p.traffic, p.pacer, true, p.credit)
	p.calls++
	s := &session{id: randomID(), token: randomID(), call: call}
	call.times.NotifiedMs = machineMs()
	p.sessions[s.id] = s
	controls := append([]*control(nil), p.controls...)
	p.mu.Unlock()
	for _, c := range controls {
		c.tell(map[string]any{
			"type": "session.notify", "sessionId": s.id, "channel": "TELCO", "remoteAddress": caller,
			"localAddress": callee, "activity": "NEW_INCOMING_CALL", "createdAt": time.Now().Unix(),
		})
	}
	return s
}

// randomID is a UUID of version 4.
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
