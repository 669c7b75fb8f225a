// An agent on generated stubs alone: takes calls and says back what it hears, until interrupted (Ctrl-C).
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"

	pb "callweave-echo/gen/callweave/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

func main() {
	address := cmp.Or(os.Getenv("CALLWEAVE_ADDRESS"), "127.0.0.1:7070")
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+os.Getenv("CALLWEAVE_KEY"))
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	check(err)
	stream, err := pb.NewAgentServiceClient(conn).Serve(ctx)
	check(err)
	var sending sync.Mutex
	say := func(item *pb.AgentItem) {
		sending.Lock()
		defer sending.Unlock()
		check(stream.Send(&pb.ServeRequest{Items: []*pb.AgentItem{item}}))
	}
	say(&pb.AgentItem{Item: &pb.AgentItem_Register{Register: &pb.Register{AgentId: "go-echo", Capacity: 1, AnswerOnAccept: true}}})
	interrupted, _ := signal.NotifyContext(ctx, os.Interrupt)
	context.AfterFunc(interrupted, func() { say(&pb.AgentItem{Item: &pb.AgentItem_Bye{Bye: &pb.Bye{}}}) })
	for {
		message, err := stream.Recv()
		check(err)
		for _, item := range message.Items {
			if offer := item.GetOffer(); offer != nil {
				say(&pb.AgentItem{Item: &pb.AgentItem_Accept{Accept: &pb.Accept{OfferId: offer.OfferId}}})
			} else if audio := item.GetAudio(); audio != nil {
				say(&pb.AgentItem{Item: &pb.AgentItem_Audio{Audio: &pb.AgentAudio{Pcm: audio.Pcm}}})
			} else {
				fmt.Printf("%T\n", item.Item)
			}
		}
	}
}

func check(err error) {
	if err == io.EOF { // the gateway ended the stream, after Bye
		os.Exit(0)
	}
	if err != nil {
		log.Fatal(err)
	}
}
