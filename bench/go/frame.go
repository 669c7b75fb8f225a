package main

import (
	"bytes"
	"encoding/binary"
	"math"
)

// As in bench/frame.ts.
const (
	frameBytes = 960
	frameMs    = 20
	frameMagic = 0x43574246
	tailAt     = frameBytes - 4
)

var magicBytes = binary.LittleEndian.AppendUint32(nil, frameMagic)

// stamp is what a frame says about its own way; times in machine ms, those of the agent 0 on the way there.
type stamp struct {
	call, sequence              uint32
	sentMs, agentInMs, agentOut float64
}

// frameTemplate is 960 bytes of noise.
func frameTemplate() []byte {
	frame := make([]byte, frameBytes)
	state := uint32(0x9e3779b9)
	for i := range frame {
		state = state*1664525 + 1013904223
		frame[i] = byte(state >> 24)
	}
	return frame
}

func stampSent(frame []byte, call, sequence uint32, nowMs float64) {
	binary.LittleEndian.PutUint32(frame[0:], frameMagic)
	binary.LittleEndian.PutUint32(frame[4:], call)
	binary.LittleEndian.PutUint32(frame[8:], sequence)
	putFloat(frame[12:], nowMs)
	putFloat(frame[20:], 0)
	putFloat(frame[28:], 0)
	binary.LittleEndian.PutUint32(frame[tailAt:], sequence)
}

func stampAgent(frame []byte, inMs, outMs float64) {
	putFloat(frame[20:], inMs)
	putFloat(frame[28:], outMs)
}

// readStamp reads a stamp; false when the bytes are not a whole stamped frame.
func readStamp(frame []byte) (stamp, bool) {
	if len(frame) < frameBytes || binary.LittleEndian.Uint32(frame) != frameMagic {
		return stamp{}, false
	}
	sequence := binary.LittleEndian.Uint32(frame[8:])
	if binary.LittleEndian.Uint32(frame[tailAt:]) != sequence {
		return stamp{}, false
	}
	return stamp{
		call:      binary.LittleEndian.Uint32(frame[4:]),
		sequence:  sequence,
		sentMs:    getFloat(frame[12:]),
		agentInMs: getFloat(frame[20:]),
		agentOut:  getFloat(frame[28:]),
	}, true
}

func putFloat(at []byte, value float64) {
	binary.LittleEndian.PutUint64(at, math.Float64bits(value))
}

func getFloat(at []byte) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(at))
}

// frameCutter cuts a stream of audio into frames, whatever pieces it comes in.
type frameCutter struct {
	rest []byte
}

// push calls each with every whole frame, which is valid until push returns. Bytes that begin no frame are skipped up
// to the next beginning and told once as a frame that cannot be read.
func (c *frameCutter) push(pcm []byte, each func(frame []byte)) {
	all := pcm
	if len(c.rest) > 0 {
		c.rest = append(c.rest, pcm...)
		all = c.rest
	}
	for len(all) >= frameBytes {
		if !bytes.HasPrefix(all, magicBytes) {
			each(all[:frameBytes])
			if at := bytes.Index(all[1:], magicBytes); at >= 0 {
				all = all[1+at:]
			} else {
				all = all[len(all)-len(magicBytes)+1:]
			}
			continue
		}
		each(all[:frameBytes])
		all = all[frameBytes:]
	}
	c.rest = append(c.rest[:0], all...)
}
