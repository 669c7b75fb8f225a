package main

import (
	"math"
	"sync"
)

// windowReport is what the load generator saw in a window. Times in ms.
type windowReport struct {
	FramesSent     int `json:"framesSent"`
	FramesReceived int `json:"framesReceived"`
	// Sent in the window and not back within the time after it.
	FramesLost int `json:"framesLost"`
	// Came again, or after a later frame of its call.
	OutOfOrder int `json:"outOfOrder"`
	// Belonged to another call, or could not be read.
	Corrupt int `json:"corrupt"`
	// From sending on the WebSocket to the agent's hands. Half the way there and back where the agent does not stamp.
	UpMs spread `json:"upMs"`
	// From the agent's hands to the WebSocket.
	DownMs spread `json:"downMs"`
	// There and back, with the agent's part.
	RoundTripMs spread `json:"roundTripMs"`
	// How late the generator itself sent.
	LateMs spread `json:"lateMs"`
}

// traffic counts the frames of all calls and times those that were sent in the window.
type traffic struct {
	mu              sync.Mutex
	startMs, endMs  float64
	up, down, round []float64
	late            []float64
	report          windowReport
}

func newTraffic() *traffic {
	return &traffic{startMs: math.Inf(1), endMs: math.Inf(1)}
}

func (t *traffic) openWindow() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.up, t.down, t.round, t.late = t.up[:0], t.down[:0], t.round[:0], t.late[:0]
	t.report = windowReport{}
	t.startMs, t.endMs = machineMs(), math.Inf(1)
}

// closeWindow ends it; frames that were sent in it may still come back.
func (t *traffic) closeWindow() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endMs = machineMs()
}

func (t *traffic) result() windowReport {
	t.mu.Lock()
	defer t.mu.Unlock()
	report := t.report
	report.UpMs, report.DownMs = spreadOf(t.up), spreadOf(t.down)
	report.RoundTripMs, report.LateMs = spreadOf(t.round), spreadOf(t.late)
	report.FramesReceived = report.UpMs.Count
	report.FramesLost = report.FramesSent - report.FramesReceived
	return report
}

// sent is told of a frame that was due at dueMs and is stamped with nowMs. The stamp says whether it belongs to the window, as it
// does when the frame is back: the window may open or close between the two.
func (t *traffic) sent(dueMs, nowMs float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.has(nowMs) {
		t.report.FramesSent++
		t.late = append(t.late, nowMs-dueMs)
	}
}

// back is told of a frame that is back. lastBack is the number of the call's frame before, -1 for none.
func (t *traffic) back(s stamp, lastBack int64, nowMs float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if int64(s.sequence) <= lastBack {
		t.report.OutOfOrder++
	}
	if !t.has(s.sentMs) {
		return
	}
	round := nowMs - s.sentMs
	t.round = append(t.round, round)
	if s.agentInMs == 0 {
		t.up, t.down = append(t.up, round/2), append(t.down, round/2)
		return
	}
	t.up, t.down = append(t.up, s.agentInMs-s.sentMs), append(t.down, nowMs-s.agentOut)
}

func (t *traffic) corrupt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Corrupt++
}

// has is whether that moment is in the window; the lock is held.
func (t *traffic) has(ms float64) bool {
	return ms >= t.startMs && ms < t.endMs
}
