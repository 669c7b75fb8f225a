package callweave

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"time"
)

const (
	backoffLeast = 50 * time.Millisecond
	backoffMost  = 2 * time.Second
)

// backoff gives waits between attempts that grow, with jitter: half to full of 50 ms, 100 ms … up to 2 s.
type backoff struct{ attempt int }

func (b *backoff) next() time.Duration {
	full := min(backoffMost, backoffLeast<<min(b.attempt, 10))
	b.attempt++
	return full/2 + mathrand.N(full/2+1)
}

func (b *backoff) reset() { b.attempt = 0 }

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// newID makes a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
