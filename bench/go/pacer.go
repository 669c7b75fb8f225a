package main

import (
	"sync"
	"time"
)

// paced is something that sends a frame every 20 ms.
type paced interface {
	tick(dueMs float64)
}

// pacer gives each member a turn every 20 ms, the members spread evenly over twenty slots of 1 ms. Turns that could not be
// given in time are caught up at once.
type pacer struct {
	mu    sync.Mutex
	slots [frameMs][]paced
	// A planted fault: every turn is late by so much.
	holdUp time.Duration
}

func (p *pacer) add(index int, member paced) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots[index%frameMs] = append(p.slots[index%frameMs], member)
}

func (p *pacer) remove(index int, member paced) {
	p.mu.Lock()
	defer p.mu.Unlock()
	slot := &p.slots[index%frameMs]
	// A copy: a turn may be reading the one before.
	var rest []paced
	for _, one := range *slot {
		if one != member {
			rest = append(rest, one)
		}
	}
	*slot = rest
}

// run never returns.
func (p *pacer) run() {
	nextMs := machineMs()
	slot := 0
	for {
		for nextMs <= machineMs() {
			p.mu.Lock()
			members, holdUp := p.slots[slot], p.holdUp
			p.mu.Unlock()
			if holdUp > 0 && slot == 0 {
				time.Sleep(holdUp)
			}
			for _, member := range members {
				member.tick(nextMs)
			}
			nextMs++
			slot = (slot + 1) % frameMs
		}
		time.Sleep(time.Duration((nextMs - machineMs()) * float64(time.Millisecond)))
	}
}
