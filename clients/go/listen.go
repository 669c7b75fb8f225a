package callweave

import (
	"context"
	"io"
	"iter"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// ListenOptions are the options of Listen. The zero value hears the mix at the rate of the call.
type ListenOptions struct {
	// What the agent leg hears, or what the agent says. Default: the mix.
	Source pb.AudioSource
	// Default: s16le at the rate of the call.
	Format *pb.AudioFormat
}

// Listening is a call that is being heard. A slow reader loses the oldest audio, told as a gap.
type Listening struct {
	stream grpc.ServerStreamingClient[pb.ListenCallResponse]
	ctx    context.Context
	cancel context.CancelFunc
	rate   int32
	format *pb.AudioFormat
	end    pb.EndReason
	over   bool
}

// Listen hears a call until it is over, ctx ends, or Close. CallNotFound.
func (c *Calls) Listen(ctx context.Context, callID string, options ListenOptions) (*Listening, error) {
	// Positions are at the rate of the call, which may differ from the rate that was asked for.
	call, err := c.Get(ctx, callID)
	if err != nil {
		return nil, err
	}
	conn, err := c.connection.get()
	if err != nil {
		return nil, err
	}
	starting, started := context.WithTimeout(ctx, c.connection.options.RequestTimeout)
	with, err := c.connection.options.authorized(starting)
	started()
	if err != nil {
		return nil, err
	}
	added, _ := metadata.FromOutgoingContext(with)
	living, cancel := context.WithCancel(metadata.NewOutgoingContext(ctx, added))
	request := &pb.ListenCallRequest{CallId: callID, Source: options.Source, Format: options.Format}
	stream, err := pb.NewCallServiceClient(conn).ListenCall(living, request)
	if err != nil {
		cancel()
		return nil, toError(err)
	}
	return &Listening{stream: stream, ctx: ctx, cancel: cancel, rate: call.GetSampleRateHertz()}, nil
}

// Next is the next audio or gap. io.EOF: the call is over, see EndReason.
func (l *Listening) Next() (Chunk, error) {
	for !l.over {
		message, err := l.stream.Recv()
		if err != nil {
			l.Close()
			if err == io.EOF {
				break
			}
			if l.ctx.Err() != nil {
				return Chunk{}, contextError(l.ctx)
			}
			return Chunk{}, toError(err)
		}
		switch item := message.GetItem().(type) {
		case *pb.ListenCallResponse_Started:
			l.format = agreedFormat(item.Started, l.rate)
		case *pb.ListenCallResponse_Audio:
			at := item.Audio.GetPosition()
			return Chunk{PCM: item.Audio.GetPcm(), Position: at, At: samples(at, l.rate)}, nil
		case *pb.ListenCallResponse_Gap:
			return gapChunk(item.Gap, l.rate), nil
		case *pb.ListenCallResponse_Ended:
			l.end = item.Ended
			l.Close()
		}
	}
	return Chunk{}, io.EOF
}

// Chunks reads until the call is over, or gives the error that ended it.
func (l *Listening) Chunks() iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		for {
			chunk, err := l.Next()
			if err == io.EOF || !yield(chunk, err) || err != nil {
				return
			}
		}
	}
}

// Format is the format of the audio; nil before the first was read.
func (l *Listening) Format() *pb.AudioFormat { return l.format }

// EndReason is why the call is over; unspecified before io.EOF.
func (l *Listening) EndReason() pb.EndReason { return l.end }

// Close ends the listening. A listening that was read to its end needs none.
func (l *Listening) Close() {
	l.over = true
	l.cancel()
}
