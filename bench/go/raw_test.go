package main

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"testing"
)

// masked is a message as a client sends it.
func masked(opcode byte, payload []byte) []byte {
	message := []byte{0x80 | opcode}
	switch size := len(payload); {
	case size < 126:
		message = append(message, 0x80|byte(size))
	case size < 1<<16:
		message = binary.BigEndian.AppendUint16(append(message, 0x80|126), uint16(size))
	default:
		message = binary.BigEndian.AppendUint64(append(message, 0x80|127), uint64(size))
	}
	mask := []byte{1, 200, 3, 77}
	message = append(message, mask...)
	for i, b := range payload {
		message = append(message, b^mask[i%4])
	}
	return message
}

func TestMessageReader(t *testing.T) {
	sizes := []int{0, 1, 7, 125, 126, 961, 65_535, 65_536, 70_000}
	var all []byte
	for _, size := range sizes {
		all = append(all, masked(opBinary, bytes.Repeat([]byte{9}, size))...)
	}
	for _, piece := range []int{1, 3, 960, 5000, len(all)} {
		var reader messageReader
		var got []int
		rest := all
		for len(rest) > 0 {
			n := copy(reader.free(), rest[:min(piece, len(rest))])
			rest = rest[n:]
			err := reader.push(n, func(opcode byte, payload []byte) {
				if opcode != opBinary || bytes.ContainsFunc(payload, func(r rune) bool { return r != 9 }) {
					t.Fatalf("opcode %d, %d bytes", opcode, len(payload))
				}
				got = append(got, len(payload))
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, sizes) {
			t.Fatalf("in pieces of %d: %v", piece, got)
		}
	}
}

func TestMessageReaderRefuses(t *testing.T) {
	for name, head := range map[string][]byte{"a fragment": {0x02, 0x81}, "no mask": {0x82, 0x01}, "an extension": {0xc2, 0x81}} {
		var reader messageReader
		n := copy(reader.free(), head)
		if reader.push(n, func(byte, []byte) {}) == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestReadRaw(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	sent := bytes.Repeat(frameTemplate(), 3000)
	go func() {
		conn, _ := net.Dial("tcp", listener.Addr().String())
		for piece := range slices.Chunk(sent, 7777) {
			_, _ = conn.Write(piece)
		}
	}()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	buffer := make([]byte, 1000)
	if err := readRaw(conn, func() []byte { return buffer }, func(n int) bool {
		got = append(got, buffer[:n]...)
		return len(got) < len(sent)
	}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes of %d, or others", len(got), len(sent))
	}
	_, ours := net.Pipe()
	if readRaw(ours, nil, nil) == nil {
		t.Fatal("a pipe was read")
	}
}

func TestMessageOf(t *testing.T) {
	if got := messageOf(opText, []byte("ab")); !bytes.Equal(got, []byte{0x81, 2, 'a', 'b'}) {
		t.Fatalf("% x", got)
	}
	if got := messageOf(opBinary, make([]byte, 961)); len(got) != 965 || !bytes.Equal(got[:5], []byte{0x82, 126, 3, 193, 0}) {
		t.Fatalf("% x", got[:5])
	}
}
