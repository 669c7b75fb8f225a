// The load generator and the agents of the benchmark, lean enough not to limit what is measured:
//
//	bench generator               the provider's side: control connection, claims, media, credit, paced audio
//	bench tcp-echo                the agent behind the bare relay
//	bench ws-echo URL             nothing between the load generator and the agent: the baseline of delays
//	bench agent ADDRESS [flags]   the agent behind the gateway, on generated stubs alone
//	bench client-agent ADDRESS [flags]   the same on the client library for Go
//	bench delay PORT MS           a network between agent and gateway
//
// Each answers questions on standard input with lines of JSON on standard output, and ends with its input.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		fatal(fmt.Errorf("which program? generator, tcp-echo, ws-echo, agent, client-agent or delay"))
	}
	programs := map[string]func(arguments []string) error{
		"generator":    runGenerator,
		"tcp-echo":     runTCPEcho,
		"ws-echo":      runWebSocketEcho,
		"agent":        runAgent,
		"client-agent": runClientAgent,
		"delay":        runDelay,
	}
	program, known := programs[os.Args[1]]
	if !known {
		fatal(fmt.Errorf("no such program: %s", os.Args[1]))
	}
	if err := program(os.Args[2:]); err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
