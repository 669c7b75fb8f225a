package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// readRaw hands over what comes in until the connection ends or each says that it is over. One read for each time the
// socket is readable: net.Conn.Read would ask once more, only to hear that there is nothing. Free gives the space for the
// next read, never empty; each is told how much of it was filled. An end that comes together with the last bytes is noticed
// late or never, which is nothing to a run that ends its processes.
func readRaw(conn net.Conn, free func() []byte, each func(n int) bool) error {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return fmt.Errorf("not a TCP connection: %T", conn)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	// A single Read, whose function never says that it is done: each further one would forget a readiness that came before.
	return raw.Read(func(fd uintptr) bool {
		for {
			space := free()
			n, err := syscall.Read(int(fd), space)
			switch {
			case errors.Is(err, syscall.EINTR):
				continue
			case errors.Is(err, syscall.EAGAIN):
				return false
			case err != nil || n == 0:
				return true
			case !each(n):
				return true
			case n < len(space):
				return false
			}
		}
	})
}

// Opcodes of RFC 6455.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
)

// messageReader takes the masked messages of a client out of its bytes. Messages in fragments are not for here: neither
// `ws` nor `websockets` sends them below a megabyte.
type messageReader struct {
	buffer []byte
	filled int
}

func (r *messageReader) free() []byte {
	if r.filled == len(r.buffer) {
		r.buffer = append(r.buffer, make([]byte, max(4096, len(r.buffer)))...)
	}
	return r.buffer[r.filled:]
}

// push takes n more bytes of what free gave and calls each with every whole message, unmasked, valid until it returns. It
// fails on what no client may send and on fragments.
func (r *messageReader) push(n int, each func(opcode byte, payload []byte)) error {
	r.filled += n
	at := 0
	for {
		head := r.buffer[at:r.filled]
		if len(head) < 2 {
			break
		}
		if head[0]&0xf0 != 0x80 || head[1]&0x80 == 0 {
			return fmt.Errorf("a fragment, an extension or no mask: %x", head[:2])
		}
		size, begin := uint64(head[1]&0x7f), 2
		switch {
		case size == 126 && len(head) >= 4:
			size, begin = uint64(binary.BigEndian.Uint16(head[2:])), 4
		case size == 127 && len(head) >= 10:
			size, begin = binary.BigEndian.Uint64(head[2:]), 10
		case size >= 126:
			size = 1 << 62
		}
		if size > uint64(len(head)) || begin+4+int(size) > len(head) {
			break
		}
		payload := head[begin+4 : begin+4+int(size)]
		unmask(payload, head[begin:begin+4])
		each(head[0]&0x0f, payload)
		at += begin + 4 + int(size)
	}
	r.filled = copy(r.buffer, r.buffer[at:r.filled])
	return nil
}

func unmask(payload, mask []byte) {
	four := binary.LittleEndian.Uint32(mask)
	eight := uint64(four)<<32 | uint64(four)
	for ; len(payload) >= 8; payload = payload[8:] {
		binary.LittleEndian.PutUint64(payload, binary.LittleEndian.Uint64(payload)^eight)
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
}

// messageOf is a whole message of a server.
func messageOf(opcode byte, payload []byte) []byte {
	message := []byte{0x80 | opcode}
	if len(payload) < 126 {
		message = append(message, byte(len(payload)))
	} else {
		message = append(message, 126)
		message = binary.BigEndian.AppendUint16(message, uint16(len(payload)))
	}
	return append(message, payload...)
}
