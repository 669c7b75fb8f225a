package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

var (
	clockBase   = time.Now()
	clockOrigin = originMs()
)

// originMs is what the machine's monotonic clock said at clockBase, taken from the closest of many pairs.
func originMs() float64 {
	best := -1.0
	for range 1000 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			fatal(err)
		}
		origin := float64(ts.Nano())/1e6 - float64(time.Since(clockBase))/1e6
		best = max(best, origin)
	}
	return best
}

// machineMs is the machine's monotonic clock in ms: the same in every process, so that stamps can be compared.
func machineMs() float64 {
	return clockOrigin + float64(time.Since(clockBase))/1e6
}

// until looks every 5 ms and fails with what it waited for.
func until(check func() bool, what string, timeout time.Duration) error {
	end := time.Now().Add(timeout)
	for !check() {
		if time.Now().After(end) {
			return fmt.Errorf("timed out after %v waiting for: %s", timeout, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}
