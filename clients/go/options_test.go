package callweave

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"
)

// Each numeric option: its default and both edges of its range.
var optionBounds = []struct {
	name             string
	def, least, most int64
}{
	{"Capacity", 1, 1, 1000},
	{"CallsPerStream", 64, 1, 1000},
	{"MaxStreams", 4, 1, 16},
	{"MaxMarks", 1000, 1, 1000},
	{"MaxUpdatesQueued", 1000, 1, 100_000},
	{"MaxControlItems", 10_000, 100, 1_000_000},
	{"SendAhead", int64(time.Second), int64(100 * time.Millisecond), int64(20 * time.Second)},
	{"MaxPlaybackQueued", int64(time.Minute), int64(100 * time.Millisecond), int64(time.Hour)},
	{"MaxAudioQueued", int64(2 * time.Second), int64(20 * time.Millisecond), int64(10 * time.Minute)},
	{"ConnectTimeout", int64(5 * time.Second), int64(100 * time.Millisecond), int64(10 * time.Minute)},
	{"ReattachTimeout", 0, int64(time.Millisecond), int64(time.Hour)},
	{"DrainTimeout", int64(30 * time.Second), int64(time.Millisecond), int64(24 * time.Hour)},
	{"RequestTimeout", int64(10 * time.Second), int64(time.Millisecond), int64(10 * time.Minute)},
	{"Keepalive", int64(20 * time.Second), int64(10 * time.Second), int64(24 * time.Hour)},
}

func TestOptionBounds(t *testing.T) {
	for _, bound := range optionBounds {
		made := func(value int64) (AgentOptions, error) {
			options := AgentOptions{AgentID: "a"}
			reflect.ValueOf(&options).Elem().FieldByName(bound.name).SetInt(value)
			return options.withDefaults()
		}
		options, err := made(0)
		if got := reflect.ValueOf(options).FieldByName(bound.name).Int(); err != nil || got != bound.def {
			t.Errorf("%s: default %d, %v", bound.name, got, err)
		}
		for _, value := range []int64{bound.least, bound.most} {
			if _, err := made(value); err != nil {
				t.Errorf("%s = %d: %v", bound.name, value, err)
			}
		}
		for _, value := range []int64{bound.least - 1, bound.most + 1, -1, math.MinInt64} {
			var known *Error
			if _, err := made(value); value != 0 && (!errors.As(err, &known) || known.Reason != InvalidField || known.Metadata["field"] != bound.name) {
				t.Errorf("%s = %d: %v", bound.name, value, err)
			}
		}
	}
	// Every number among the options is in the table.
	count := 0
	for _, kind := range []reflect.Type{reflect.TypeFor[AgentOptions](), reflect.TypeFor[ConnectionOptions]()} {
		for i := range kind.NumField() {
			if k := kind.Field(i).Type.Kind(); k == reflect.Int || k == reflect.Int64 {
				count++
			}
		}
	}
	if count != len(optionBounds) {
		t.Errorf("there are %d numeric options and %d in the table", count, len(optionBounds))
	}
}

func TestNamesAndHandlers(t *testing.T) {
	handler := func(context.Context, *Call) error { return nil }
	for _, id := range []string{"", "a b", "ä", fmt.Sprintf("%065d", 1)} {
		if _, err := NewAgent(AgentOptions{AgentID: id}, handler); !errors.Is(err, InvalidField) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := NewAgent(AgentOptions{AgentID: "a"}, nil); !errors.Is(err, InvalidField) {
		t.Error(err)
	}
	if _, err := Connect(ConnectionOptions{Endpoints: []string{""}}); !errors.Is(err, InvalidField) {
		t.Error(err)
	}
	t.Setenv("CALLWEAVE_ENDPOINT", "gateway:1")
	t.Setenv("CALLWEAVE_TOKEN", "t")
	options, err := ConnectionOptions{}.withDefaults()
	if err != nil || options.Endpoints[0] != "gateway:1" || options.Token != "t" {
		t.Errorf("%+v %v", options, err)
	}
}

func TestLoopback(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"127.0.0.1:7070": true, "localhost:7070": true, "LOCALHOST": true, "[::1]:7070": true, "::1": true, "127.1.2.3:1": true,
		"dns:///localhost:7070": true, "unix:/run/x": true, "ipv4:127.0.0.1:7070": true,
		"gateway:7070": false, "127.example.com:7070": false, "10.0.0.1:7070": false, "dns://127.0.0.1/gateway:7070": false,
	} {
		if isLoopback(endpoint) != want {
			t.Errorf("%s: %v", endpoint, !want)
		}
	}
}

func TestBackoffGrows(t *testing.T) {
	var b backoff
	for i := range 12 {
		full := min(backoffMost, backoffLeast<<i)
		if got := b.next(); got < full/2 || got > full {
			t.Errorf("wait %d is %v, not half to full of %v", i, got, full)
		}
	}
	b.reset()
	if got := b.next(); got > backoffLeast {
		t.Error(got)
	}
}

func TestVerbOptionsAreChecked(t *testing.T) {
	for name, err := range map[string]error{
		"ring too short":  second(ConnectOptions{RingTime: -time.Second}.wire("")),
		"ring too long":   second(ConnectOptions{RingTime: 121 * time.Second}.wire("")),
		"ring in between": second(ConnectOptions{RingTime: 1500 * time.Millisecond}.wire("")),
		"pool's ring":     second(EscalateOptions{Pool: &PoolTarget{Pool: "p", ThenCallee: true, RingTime: 1}}.wire("")),
		"mark missing":    second(CloseOptions{After: After{Condition: AfterMark}}.wire("")),
		"mark too long":   second(CloseOptions{After: After{Mark: fmt.Sprintf("%0101d", 1)}}.wire("")),
		"data":            second(EscalateOptions{Data: map[string]any{"x": make(chan int)}}.wire("")),
		"to nobody":       second(TransferOptions{}.wire("")),
		"to two":          second(TransferOptions{Pool: "p", InstanceID: "i"}.wire("")),
	} {
		if !errors.Is(err, InvalidField) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, ring := range []time.Duration{0, time.Second, 120 * time.Second} {
		if _, err := (ConnectOptions{RingTime: ring}).wire(""); err != nil {
			t.Error(err)
		}
	}
	request, err := EscalateOptions{Reason: AskedForHuman, After: After{Deadline: time.Second}}.wire("c")
	if err != nil || request.GetAfter().GetCondition() != AfterDrained || request.GetAfter().GetOnInterrupt() != InterruptProceeds {
		t.Errorf("%v %v", request, err)
	}
}

func second[T any](_ T, err error) error { return err }
