package callweave

import (
	"bytes"
	"testing"
	"time"
)

// A queue with its own clock: 8 kHz s16le, 16 bytes a millisecond.
func testQueue(sendAhead time.Duration) (*playbackQueue, *time.Duration) {
	clock := time.Hour
	q := &playbackQueue{
		maxQueued: 10 * time.Second, sendAhead: sendAhead, maxUnconfirmed: sendAhead + 2*time.Second, bytesPerSecond: 16_000,
		now: func() time.Duration { return clock },
	}
	q.startAt(position{})
	return q, &clock
}

// say makes audio whose bytes count its 100 ms pieces.
func say(pieces int) []byte {
	var pcm []byte
	for i := range pieces {
		pcm = append(pcm, bytes.Repeat([]byte{byte(i)}, 1600)...)
	}
	return pcm
}

// drain takes what may be sent now; it gives the first byte of each piece.
func drain(q *playbackQueue) (sent []byte, markers []string) {
	for {
		item, ok := q.next()
		if !ok {
			return sent, markers
		}
		if item.isAudio() {
			sent = append(sent, item.pcm[0])
		} else {
			markers = append(markers, item.marker.id)
		}
	}
}

func TestQueueSendsAheadAndNoMore(t *testing.T) {
	q, clock := testQueue(time.Second)
	done := false
	if !q.pushAudio(say(30), func() { done = true }) {
		t.Fatal("no room")
	}
	if sent, _ := drain(q); len(sent) != 10 {
		t.Fatalf("%d pieces at once", len(sent))
	}
	*clock += 300 * time.Millisecond
	if sent, _ := drain(q); len(sent) != 3 || sent[0] != 10 {
		t.Fatal(sent)
	}
	// Nothing is confirmed: what may be unconfirmed ends it.
	for range 100 {
		*clock += 100 * time.Millisecond
		q.onProgress(position{queued: q.ahead(), played: q.endPosition - q.ahead()})
		drain(q)
	}
	if !done || !q.empty() || q.waiting != 0 {
		t.Fatalf("done %v, waiting %v", done, q.waiting)
	}
	if q.pushAudio(make([]byte, 16_000*10+2), nil) || !q.pushAudio(make([]byte, 16_000*10), nil) {
		t.Fatal("the bound of the queue")
	}
}

func TestQueueStopsWithoutConfirmation(t *testing.T) {
	q, clock := testQueue(time.Second)
	q.pushAudio(say(90), nil)
	total := 0
	for range 100 {
		sent, _ := drain(q)
		total += len(sent)
		*clock += 100 * time.Millisecond
	}
	if total != 30 {
		t.Fatalf("%d pieces were sent without any progress", total)
	}
}

func TestQueueSendsRefusedAudioAgain(t *testing.T) {
	q, clock := testQueue(time.Second)
	q.pushAudio(say(5), nil)
	q.pushMarker(marker{'m', "x"})
	drain(q)
	q.onFull()
	q.onFull()
	if sent, _ := drain(q); len(sent) != 0 {
		t.Fatal("it waits first")
	}
	q.onProgress(position{played: 100 * time.Millisecond, queued: 200 * time.Millisecond})
	*clock += retryAfterProgress
	if sent, _ := drain(q); !bytes.Equal(sent, []byte{3, 4}) {
		t.Fatal(sent)
	}
}

func TestQueueComesBack(t *testing.T) {
	q, clock := testQueue(2 * time.Second)
	q.pushAudio(say(10), nil)
	q.pushMarker(marker{'m', "end"})
	q.pushMarker(marker{'c', "act"})
	drain(q)
	*clock += 400 * time.Millisecond
	// Four pieces were heard, the gateway has two more and lost four.
	passed, again := q.onReattached(position{played: 400 * time.Millisecond, queued: 200 * time.Millisecond})
	if len(passed) != 0 || len(again) != 2 || again[0].id != "end" || again[1].id != "act" {
		t.Fatal(passed, again)
	}
	sent, markers := drain(q)
	if !bytes.Equal(sent, []byte{6, 7, 8, 9}) || len(markers) != 2 {
		t.Fatal(sent, markers)
	}
	// All was heard meanwhile: nothing is said twice.
	passed, again = q.onReattached(position{played: time.Second})
	if len(passed) != 2 || len(again) != 0 || !q.empty() {
		t.Fatal(passed, again)
	}
}

func TestQueueIsTakenOver(t *testing.T) {
	q, clock := testQueue(2 * time.Second)
	q.pushAudio(say(10), nil)
	drain(q)
	*clock += 600 * time.Millisecond
	q.onTakenOver(position{}, q.ahead())
	if sent, _ := drain(q); !bytes.Equal(sent, []byte{6, 7, 8, 9}) {
		t.Fatal(sent)
	}
}

func TestQueueClears(t *testing.T) {
	q, _ := testQueue(time.Second)
	ended := 0
	q.pushAudio(say(30), func() { ended++ })
	q.pushMarker(marker{'m', "x"})
	drain(q)
	dropped, markers := q.clear()
	if dropped != 2*time.Second || len(markers) != 1 || ended != 1 || !q.empty() {
		t.Fatal(dropped, markers, ended)
	}
	// Reports from before the answer to the clear count for nothing.
	q.pushAudio(say(1), nil)
	drain(q)
	q.onProgress(position{queued: time.Second})
	q.onCleared(250 * time.Millisecond)
	if q.endPosition != 350*time.Millisecond {
		t.Fatal(q.endPosition)
	}
}

func TestQueuePiecesKeepSamplesWhole(t *testing.T) {
	q, _ := testQueue(time.Second)
	q.bytesPerSecond = 22_050 * 2
	q.pushAudio(make([]byte, 10_001), nil)
	bytes := 0
	for item, ok := q.next(); ok; item, ok = q.next() {
		bytes += len(item.pcm)
		if len(item.pcm)%2 == 1 && bytes != 10_001 {
			t.Fatal("a sample was cut")
		}
	}
	if bytes != 10_001 {
		t.Fatal(bytes)
	}
}
