package main

import (
	"context"
	"errors"
	"io"
	"os"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const pieceBytes = 3200

// simpleForm uses generated stubs alone: capacity 1, no handles, one item a message, no heartbeat. It takes one call, plays
// the file and leaves with Bye when that was heard.
func simpleForm(a *arguments) (fields, error) {
	audio, err := os.ReadFile(a.File)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(a.Endpoints[0], grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := pb.NewAgentServiceClient(conn).Serve(ctx)
	if err != nil {
		return nil, err
	}
	// An error of Send comes back from Recv.
	send := func(item *pb.AgentItem) { _ = stream.Send(&pb.ServeRequest{Items: []*pb.AgentItem{item}}) }
	send(&pb.AgentItem{Item: &pb.AgentItem_Register{Register: &pb.Register{AgentId: a.AgentID, Capacity: 1, AnswerOnAccept: true}}})
	call := ""
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return fields{"call": call}, nil
		} else if err != nil {
			return nil, err
		}
		for _, item := range message.GetItems() {
			switch {
			case item.GetRegistered() != nil:
				say(fields{"event": "registered"})
			case item.GetOffer() != nil:
				send(&pb.AgentItem{Item: &pb.AgentItem_Accept{Accept: &pb.Accept{}}})
			case item.GetAssigned() != nil:
				call = item.GetAssigned().GetCall().GetCallId()
				say(fields{"event": "call", "call": call})
				for at := 0; at < len(audio); at += pieceBytes {
					pcm := audio[at:min(at+pieceBytes, len(audio))]
					send(&pb.AgentItem{Item: &pb.AgentItem_Audio{Audio: &pb.AgentAudio{Pcm: pcm}}})
				}
				send(&pb.AgentItem{Item: &pb.AgentItem_Mark{Mark: &pb.Mark{Name: "said"}}})
			case item.GetMarkReached() != nil:
				send(&pb.AgentItem{Item: &pb.AgentItem_Bye{Bye: &pb.Bye{}}})
				_ = stream.CloseSend()
			}
		}
	}
}
