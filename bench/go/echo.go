package main

import (
	"fmt"
	"net"
	"runtime/debug"
	"strconv"

	"github.com/gorilla/websocket"
)

// runTCPEcho is the agent behind the bare relay: it echoes each call's audio on its TCP connection, stamped.
func runTCPEcho([]string) error {
	debug.SetGCPercent(gcPercent)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				fatal(err)
			}
			go echoTCP(conn)
		}
	}()
	return answerMain(handlers{}, map[string]int{"port": listener.Addr().(*net.TCPAddr).Port})
}

func echoTCP(conn net.Conn) {
	defer conn.Close()
	var cutter frameCutter
	buffer := make([]byte, 16<<10)
	_ = readRaw(conn, func() []byte { return buffer }, func(n int) bool {
		inMs := machineMs()
		var err error
		cutter.push(buffer[:n], func(frame []byte) {
			stampAgent(frame, inMs, machineMs())
			_, err = conn.Write(frame)
		})
		return err == nil
	})
}

// runWebSocketEcho is the agent without anything between it and the load generator. Arguments: the address of the
// generator, the number of calls, and a planted fault: each frame of that place is lost, 0 for none.
func runWebSocketEcho(arguments []string) error {
	debug.SetGCPercent(gcPercent)
	if len(arguments) != 3 {
		return fmt.Errorf("ws-echo URL CALLS LOSE-EVERY")
	}
	count, err := strconv.Atoi(arguments[1])
	if err != nil {
		return err
	}
	loseEvery, err := strconv.Atoi(arguments[2])
	if err != nil {
		return err
	}
	for index := range count {
		socket, _, err := websocket.DefaultDialer.Dial(fmt.Sprintf("%s/floor/%d", arguments[0], index), nil)
		if err != nil {
			return err
		}
		go echoWebSocket(socket, loseEvery)
	}
	return answerMain(handlers{}, nil)
}

func echoWebSocket(socket *websocket.Conn, loseEvery int) {
	defer socket.Close()
	for place := 1; ; place++ {
		_, message, err := socket.ReadMessage()
		if err != nil {
			return
		}
		if loseEvery > 0 && place%loseEvery == 0 {
			continue
		}
		inMs := machineMs()
		if len(message) == 1+frameBytes {
			stampAgent(message[1:], inMs, machineMs())
		}
		if socket.WriteMessage(websocket.BinaryMessage, message) != nil {
			return
		}
	}
}
