package callweave

import (
	"context"
	"io"
	"iter"
	"sync"
	"time"

	pb "callweave.dev/go/callweave/v1"
)

// LocalQueueFull is the GapReason of audio that this library dropped because nobody read it.
const LocalQueueFull = "LOCAL_QUEUE_FULL"

// Gaps have no length in the queue; this bounds their number.
const maxChunks = 10_000

// Chunk is a piece of audio, or a gap: audio that will not come.
type Chunk struct {
	// Samples in the agreed format. Empty for a gap.
	PCM []byte
	// The length of a gap; 0 for audio.
	Gap time.Duration
	// Why there is a gap: SLOW_RECEIVER, DETACHED, PROVIDER, or LOCAL_QUEUE_FULL. Empty for audio.
	GapReason string
	// Where it begins, in samples at the call's rate since answer.
	Position uint64
	// The same as a time since answer.
	At time.Duration
}

// IsGap tells whether it is a gap.
func (c Chunk) IsGap() bool { return c.GapReason != "" }

type queuedChunk struct {
	chunk  Chunk
	length time.Duration
}

// AudioReader reads the audio of a call: chunk by chunk with Next or Chunks, or as bytes with Read. One reader at a time. What
// nobody reads is kept up to MaxAudioQueued, then the oldest is dropped and told as one gap before what follows it.
type AudioReader struct {
	format    *pb.AudioFormat
	mu        sync.Mutex
	chunks    []queuedChunk
	queued    time.Duration
	maxQueued time.Duration
	ended     bool
	wake      chan struct{}
	// For Read: what is left of the last chunk, and of the silence of a gap.
	rest    []byte
	silence int
}

func newAudioReader(format *pb.AudioFormat, maxQueued time.Duration) *AudioReader {
	return &AudioReader{format: format, maxQueued: maxQueued, wake: make(chan struct{}, 1)}
}

// Format is the agreed format.
func (r *AudioReader) Format() *pb.AudioFormat { return r.format }

// Next waits for the next chunk. io.EOF: the call is over and all was read. A ContextDone loses nothing.
func (r *AudioReader) Next(ctx context.Context) (Chunk, error) {
	for {
		if chunk, ok, ended := r.shift(); ok {
			return chunk, nil
		} else if ended {
			return Chunk{}, io.EOF
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			// Audio that is there is still read: a handler's context ends with the call, its last words do not.
			if chunk, ok, ended := r.shift(); ok {
				return chunk, nil
			} else if ended {
				return Chunk{}, io.EOF
			}
			return Chunk{}, contextError(ctx)
		}
	}
}

// Chunks reads until the call is over or ctx ends. A later loop goes on where one stopped.
func (r *AudioReader) Chunks(ctx context.Context) iter.Seq[Chunk] {
	return func(yield func(Chunk) bool) {
		for {
			chunk, err := r.Next(ctx)
			if err != nil || !yield(chunk) {
				return
			}
		}
	}
}

// Read reads samples as bytes; a gap is read as silence of its length. io.EOF: the call is over.
func (r *AudioReader) Read(p []byte) (int, error) {
	for len(p) > 0 && len(r.rest) == 0 && r.silence == 0 {
		chunk, err := r.Next(context.Background())
		if err != nil {
			return 0, err
		}
		r.rest = chunk.PCM
		r.silence = bytesOf(r.format, chunk.Gap)
	}
	if len(r.rest) > 0 {
		n := copy(p, r.rest)
		r.rest = r.rest[n:]
		return n, nil
	}
	n := min(len(p), r.silence)
	r.silence -= n
	for i := range p[:n] {
		p[i] = silentByte(r.format.GetEncoding())
	}
	return n, nil
}

func (r *AudioReader) push(pcm []byte, at uint64, rate int32) {
	length := durationOf(r.format, len(pcm))
	r.add(queuedChunk{Chunk{PCM: pcm, Position: at, At: samples(at, rate)}, length})
}

func (r *AudioReader) pushGap(gap *pb.AudioGap, rate int32) {
	r.add(queuedChunk{gapChunk(gap, rate), 0})
}

func (r *AudioReader) add(chunk queuedChunk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	r.chunks = append(r.chunks, chunk)
	r.queued += chunk.length
	if r.queued > r.maxQueued || len(r.chunks) > maxChunks {
		r.dropOldest()
	}
	r.signal()
}

// end: no more audio comes; what is queued can still be read.
func (r *AudioReader) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.signal()
}

func (r *AudioReader) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *AudioReader) shift() (chunk Chunk, ok, ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.chunks) == 0 {
		return Chunk{}, false, r.ended
	}
	first := r.chunks[0]
	r.chunks[0] = queuedChunk{}
	r.chunks = r.chunks[1:]
	r.queued -= first.length
	return first.chunk, true, false
}

func (r *AudioReader) dropOldest() {
	gap := Chunk{GapReason: LocalQueueFull, Position: r.chunks[0].chunk.Position, At: r.chunks[0].chunk.At}
	i := 0
	for ; i < len(r.chunks) && (r.queued > r.maxQueued || len(r.chunks)-i > maxChunks-1); i++ {
		r.queued -= r.chunks[i].length
		gap.Gap += r.chunks[i].length + r.chunks[i].chunk.Gap
		r.chunks[i] = queuedChunk{}
	}
	// The place of the newest dropped chunk is free. An older gap at the head was taken into this one.
	r.chunks[i-1] = queuedChunk{chunk: gap}
	r.chunks = r.chunks[i-1:]
}

func gapChunk(gap *pb.AudioGap, rate int32) Chunk {
	reason := enumName(gap.GetReason().String(), "AUDIO_GAP_REASON_")
	return Chunk{Gap: gap.GetDuration().AsDuration(), GapReason: reason, Position: gap.GetFrom(), At: samples(gap.GetFrom(), rate)}
}

// samples is the time of so many samples.
func samples(count uint64, rate int32) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Duration(float64(count) / float64(rate) * float64(time.Second))
}

func bytesPerSecond(format *pb.AudioFormat) int {
	if format.GetEncoding() == pb.AudioEncoding_AUDIO_ENCODING_S16LE {
		return int(format.GetSampleRateHertz()) * 2
	}
	return int(format.GetSampleRateHertz())
}

func durationOf(format *pb.AudioFormat, bytes int) time.Duration {
	return time.Duration(float64(bytes) / float64(bytesPerSecond(format)) * float64(time.Second))
}

func bytesOf(format *pb.AudioFormat, length time.Duration) int {
	return int(length.Seconds()*float64(bytesPerSecond(format))) &^ 1
}

func silentByte(encoding pb.AudioEncoding) byte {
	switch encoding {
	case pb.AudioEncoding_AUDIO_ENCODING_MULAW:
		return 0xff
	case pb.AudioEncoding_AUDIO_ENCODING_ALAW:
		return 0xd5
	default:
		return 0
	}
}
