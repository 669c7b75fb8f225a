package main

import (
	"math"
	"slices"
)

// spread is how a measure is spread, in the unit of the measure; percentiles are values that occurred (nearest rank).
type spread struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// spreadOf sorts the values in place; zeros when there are none.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	slices.Sort(values)
	at := func(share float64) float64 {
		return values[max(0, int(math.Ceil(float64(len(values))*share))-1)]
	}
	return spread{Count: len(values), P50: at(0.5), P99: at(0.99), Max: at(1)}
}
