package main

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

type chunk struct {
	due   time.Time
	bytes []byte
}

// runDelay passes bytes on after a while, both ways, in order, without a limit of its own on what is under way.
// Arguments: the gateway's port, the delay each way in ms.
func runDelay(arguments []string) error {
	if len(arguments) != 2 {
		return fmt.Errorf("delay PORT MS")
	}
	ms, err := strconv.ParseFloat(arguments[1], 64)
	if err != nil {
		return err
	}
	delay := time.Duration(ms * float64(time.Millisecond))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				fatal(err)
			}
			upstream, err := net.Dial("tcp", "127.0.0.1:"+arguments[0])
			if err != nil {
				fatal(err)
			}
			go passLate(client, upstream, delay)
			go passLate(upstream, client, delay)
		}
	}()
	return answerMain(handlers{}, map[string]int{"port": listener.Addr().(*net.TCPAddr).Port})
}

func passLate(from, to net.Conn, delay time.Duration) {
	// A second of a thousand calls, in reads as they come.
	under := make(chan chunk, 100_000)
	go func() {
		defer to.Close()
		for c := range under {
			time.Sleep(time.Until(c.due))
			if _, err := to.Write(c.bytes); err != nil {
				break
			}
		}
		for range under {
		}
	}()
	defer close(under)
	for {
		buffer := make([]byte, 64<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			under <- chunk{time.Now().Add(delay), buffer[:n]}
		}
		if err != nil {
			if err != io.EOF {
				_ = from.Close()
			}
			return
		}
	}
}
