package callweave

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

func testReader(most time.Duration) *AudioReader { return newAudioReader(Format(8000), most) }

// piece is 20 ms.
func audioPiece(n byte) []byte {
	pcm := make([]byte, 320)
	pcm[0] = n
	return pcm
}

func TestAudioDropsTheOldestAndSaysSo(t *testing.T) {
	r := testReader(60 * time.Millisecond)
	for i := range 5 {
		r.push(audioPiece(byte(i)), uint64(i*160), 8000)
	}
	r.end()
	ctx := context.Background()
	gap, err := r.Next(ctx)
	if err != nil || !gap.IsGap() || gap.GapReason != LocalQueueFull || gap.Gap != 40*time.Millisecond || gap.Position != 0 {
		t.Fatalf("%+v %v", gap, err)
	}
	var got []byte
	for chunk := range r.Chunks(ctx) {
		got = append(got, chunk.PCM[0])
	}
	if string(got) != "\x02\x03\x04" {
		t.Fatal(got)
	}
	if _, err := r.Next(ctx); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func TestGapsAreBoundedToo(t *testing.T) {
	r := testReader(time.Second)
	gap := &pb.AudioGap{Duration: durationpb.New(time.Millisecond), Reason: pb.AudioGapReason_AUDIO_GAP_REASON_PROVIDER}
	for i := range maxChunks + 500 {
		gap.From = uint64(i * 8)
		r.pushGap(gap, 8000)
	}
	if len(r.chunks) > maxChunks {
		t.Fatal(len(r.chunks))
	}
	r.end()
	var total time.Duration
	for chunk := range r.Chunks(context.Background()) {
		total += chunk.Gap
	}
	if total != (maxChunks+500)*time.Millisecond {
		t.Fatal(total)
	}
}

func TestAudioAsBytes(t *testing.T) {
	for encoding, silent := range map[pb.AudioEncoding]byte{S16LE: 0, MuLaw: 0xff, ALaw: 0xd5} {
		format := &pb.AudioFormat{Encoding: encoding, SampleRateHertz: 8000}
		r := newAudioReader(format, time.Minute)
		r.push([]byte{1, 2, 3, 4}, 0, 8000)
		r.pushGap(&pb.AudioGap{From: 2, Duration: durationpb.New(20 * time.Millisecond), Reason: 1}, 8000)
		r.push([]byte{5, 6}, 162, 8000)
		r.end()
		all, err := io.ReadAll(r)
		if err != nil || len(all) != 6+bytesOf(format, 20*time.Millisecond) || all[3] != 4 || all[4] != silent || all[len(all)-1] != 6 {
			t.Fatalf("%v: %d bytes, %v", encoding, len(all), err)
		}
	}
}

func TestAudioReaderHeedsItsContext(t *testing.T) {
	r := testReader(time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := r.Next(ctx)
		ended <- err
	}()
	cancel()
	if err := receive(t, ended); !errors.Is(err, ContextDone) || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	// What comes later is not lost.
	r.push(audioPiece(1), 0, 8000)
	if chunk, err := r.Next(context.Background()); err != nil || chunk.PCM[0] != 1 {
		t.Fatal(err)
	}
}

func TestFormatDefaults(t *testing.T) {
	for _, test := range []struct {
		given *pb.AudioFormat
		rate  int32
		want  int32
	}{{nil, 24_000, 24_000}, {nil, 0, 16_000}, {&pb.AudioFormat{Encoding: MuLaw}, 24_000, 8000}, {Format(8000), 24_000, 8000}} {
		if got := agreedFormat(test.given, test.rate); got.GetSampleRateHertz() != test.want {
			t.Errorf("%v at %d: %v", test.given, test.rate, got)
		}
	}
}
