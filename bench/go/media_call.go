package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/gorilla/websocket"
)

// credit is how the provider asks for audio.
type credit struct {
	// At the beginning, and again whenever so much was used; in frames.
	First  int `json:"first"`
	Refill int `json:"refill"`
}

// callTimes says when something happened to a call at the provider, in machine ms; 0: not yet.
type callTimes struct {
	CallID     string  `json:"callId"`
	NotifiedMs float64 `json:"notifiedMs"`
	ClaimedMs  float64 `json:"claimedMs"`
	AnsweredMs float64 `json:"answeredMs"`
}

// mediaCall is one call at the provider: it sends a frame every 20 ms, asks for audio as it is used, times what comes back.
type mediaCall struct {
	index   int
	traffic *traffic
	pacer   *pacer
	// Speaks the provider's protocol, with credit and commands; else raw audio both ways.
	pull   bool
	credit credit

	mu       sync.Mutex // times, connection and what is written to it
	times    callTimes
	conn     net.Conn
	up       atomic.Bool
	sequence uint32
	message  []byte

	lastBack  int64
	usedBytes int
	cutter    frameCutter
	messages  messageReader
}

// headerBytes is the head of an unmasked message of 961 bytes and the byte of its channel.
const headerBytes = 4 + 1

func newMediaCall(index int, id string, t *traffic, p *pacer, pull bool, c credit) *mediaCall {
	message := messageOf(opBinary, append([]byte{0}, frameTemplate()...))
	return &mediaCall{
		index: index, traffic: t, pacer: p, pull: pull, credit: c,
		times: callTimes{CallID: id}, message: message, lastBack: -1,
	}
}

// attach takes its media connection and reads it to its end. The library shook hands; from there on it is bytes.
func (c *mediaCall) attach(socket *websocket.Conn) {
	conn := socket.NetConn()
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	if c.pull {
		c.ask(c.credit.First * frameBytes)
	} else {
		c.begin()
	}
	defer c.close()
	var failure error
	err := readRaw(conn, c.messages.free, func(n int) bool {
		failure = c.messages.push(n, c.receive)
		return failure == nil
	})
	if failure = cmp.Or(failure, err); failure != nil && !errors.Is(failure, net.ErrClosed) {
		fmt.Fprintf(os.Stderr, "call %d: %v\n", c.index, failure)
	}
}

func (c *mediaCall) receive(opcode byte, payload []byte) {
	switch opcode {
	case opBinary:
		c.receiveAudio(payload)
	case opText:
		c.receiveCommand(payload)
	case opPing:
		c.write(messageOf(opPing+1, payload))
	case opClose:
		c.close()
	}
}

// hangUp ends it as the caller would.
func (c *mediaCall) hangUp() {
	c.pacer.remove(c.index, c)
	c.up.Store(false)
	if c.pull {
		c.writeText(`{"type":"call_event","data":{"event":"call.terminated"}}`)
	}
	c.close()
}

func (c *mediaCall) close() {
	c.pacer.remove(c.index, c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// tick sends a frame, always in the same message: it costs one write and no copy.
func (c *mediaCall) tick(dueMs float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return
	}
	nowMs := machineMs()
	stampSent(c.message[headerBytes:], uint32(c.index), c.sequence, nowMs)
	c.sequence++
	c.traffic.sent(dueMs, nowMs)
	_, _ = c.conn.Write(c.message)
}

func (c *mediaCall) begin() {
	c.mu.Lock()
	c.times.AnsweredMs = machineMs()
	c.mu.Unlock()
	if c.up.CompareAndSwap(false, true) {
		c.pacer.add(c.index, c)
	}
}

func (c *mediaCall) ask(bytes int) {
	c.writeText(fmt.Sprintf(
		`{"type":"buffer_request","data":{"requested_bytes":%d,"prefer_audio_frame_bytes":%d,"channelId":0}}`,
		bytes, frameBytes))
}

func (c *mediaCall) writeText(text string) {
	c.write(messageOf(opText, []byte(text)))
}

func (c *mediaCall) write(message []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_, _ = c.conn.Write(message)
	}
}

func (c *mediaCall) receiveAudio(data []byte) {
	if len(data) == 0 {
		c.traffic.corrupt()
		return
	}
	nowMs := machineMs()
	c.usedBytes += len(data) - 1
	c.cutter.push(data[1:], func(frame []byte) {
		s, ok := readStamp(frame)
		if !ok || s.call != uint32(c.index) {
			c.traffic.corrupt()
			return
		}
		c.traffic.back(s, c.lastBack, nowMs)
		c.lastBack = int64(s.sequence)
	})
	if c.pull && c.usedBytes >= c.credit.Refill*frameBytes {
		c.ask(c.usedBytes)
		c.usedBytes = 0
	}
}

func (c *mediaCall) receiveCommand(text []byte) {
	var command struct {
		Type string `json:"type"`
		Data struct {
			ID      string `json:"command_id"`
			Command string `json:"command"`
		} `json:"data"`
	}
	if json.Unmarshal(text, &command) != nil || command.Type != "command" {
		return
	}
	response, _ := json.Marshal(map[string]any{
		"type": "command_response",
		"data": map[string]any{"command_id": command.Data.ID, "success": true, "result": nil},
	})
	c.writeText(string(response))
	if command.Data.Command == "call.answer" {
		c.begin()
	}
}
