package main

import (
	"slices"
	"testing"
	"time"
)

func stamped(call, sequence uint32) []byte {
	frame := frameTemplate()
	stampSent(frame, call, sequence, 12.5)
	return frame
}

func cut(cutter *frameCutter, pieces ...[]byte) (sequences []int) {
	for _, piece := range pieces {
		cutter.push(piece, func(frame []byte) {
			s, ok := readStamp(frame)
			if !ok {
				sequences = append(sequences, -1)
				return
			}
			sequences = append(sequences, int(s.sequence))
		})
	}
	return sequences
}

func TestStamp(t *testing.T) {
	frame := stamped(3, 7)
	stampAgent(frame, 14, 15)
	s, ok := readStamp(frame)
	if want := (stamp{3, 7, 12.5, 14, 15}); !ok || s != want {
		t.Fatalf("got %v %v, want %v", s, ok, want)
	}
	frame[tailAt] ^= 1
	if _, ok := readStamp(frame); ok {
		t.Fatal("a frame with the end of another was read")
	}
}

func TestCutter(t *testing.T) {
	all := slices.Concat(stamped(1, 0), stamped(1, 1), stamped(1, 2))
	for size := 1; size < len(all); size += 97 {
		var pieces [][]byte
		for piece := range slices.Chunk(all, size) {
			pieces = append(pieces, piece)
		}
		if got := cut(&frameCutter{}, pieces...); !slices.Equal(got, []int{0, 1, 2}) {
			t.Fatalf("in pieces of %d: %v", size, got)
		}
	}
	// A hole in the middle of a frame costs that frame and is told once; what follows is read again.
	holed := slices.Concat(stamped(1, 0), stamped(1, 1)[500:], stamped(1, 2), stamped(1, 3))
	if got := cut(&frameCutter{}, holed); !slices.Equal(got, []int{0, -1, 2, 3}) {
		t.Fatalf("with a hole: %v", got)
	}
}

func TestSpread(t *testing.T) {
	values := make([]float64, 100)
	for i := range values {
		values[i] = float64(100 - i)
	}
	if got, want := spreadOf(values), (spread{100, 50, 99, 100}); got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
	if got := spreadOf(nil); got != (spread{}) {
		t.Fatalf("of nothing: %v", got)
	}
}

func TestTraffic(t *testing.T) {
	traffic := newTraffic()
	early := machineMs()
	traffic.openWindow()
	traffic.sent(early, early) // stamped before the window, told of in it
	now := machineMs()
	for i := range 4 {
		traffic.sent(now-float64(i), now)
	}
	traffic.back(stamp{0, 0, now, now + 2, now + 3}, -1, now+4)
	traffic.back(stamp{0, 2, now, 0, 0}, 0, now+10)               // an agent that does not stamp
	traffic.back(stamp{0, 1, now, now + 2, now + 3}, 2, now+4)    // overtaken
	traffic.back(stamp{0, 9, now - 1000, now, now + 1}, 1, now+4) // sent before the window
	traffic.corrupt()
	traffic.closeWindow()
	traffic.sent(now, machineMs())
	got := traffic.result()
	if got.FramesSent != 4 || got.FramesReceived != 3 || got.FramesLost != 1 || got.OutOfOrder != 1 || got.Corrupt != 1 {
		t.Fatalf("%+v", got)
	}
	if got.UpMs.Max != 5 || got.DownMs.Max != 5 || got.RoundTripMs.Max != 10 || got.LateMs.Max != 3 {
		t.Fatalf("%+v", got)
	}
}

type member struct{ late []float64 }

func (m *member) tick(dueMs float64) { m.late = append(m.late, machineMs()-dueMs) }

func TestPacer(t *testing.T) {
	p := &pacer{}
	members := []*member{{}, {}, {}}
	for i, m := range members {
		p.add(i, m)
	}
	p.remove(2, members[2])
	go p.run()
	time.Sleep(500 * time.Millisecond)
	p.remove(0, members[0])
	p.remove(1, members[1])
	time.Sleep(50 * time.Millisecond)
	// 25 turns in half a second, on a machine that may be busy.
	if n := len(members[0].late); n < 10 || n > 40 {
		t.Fatalf("%d turns in half a second", n)
	}
	if n := len(members[2].late); n != 0 {
		t.Fatalf("%d turns of a member that was removed", n)
	}
	for _, late := range members[1].late {
		if late < 0 {
			t.Fatalf("a turn %v ms too early", -late)
		}
	}
}
