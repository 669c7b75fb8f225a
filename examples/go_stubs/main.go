// An agent on generated stubs alone: takes calls and says back what it hears, until interrupted (Ctrl-C).
package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"

	pb "callweave-echo/gen/callweave/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

func main() {
	interrupted, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	ctx := metadata.AppendToOutgoingContext(interrupted, "authorization", "Bearer "+os.Getenv("CALLWEAVE_KEY"))
	address := cmp.Or(os.Getenv("CALLWEAVE_ADDRESS"), "127.0.0.1:7070")
	conn, _ := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	stream, err := pb.NewAgentServiceClient(conn).Serve(ctx, grpc.WaitForReady(true))
	reply := []*pb.AgentItem{{Item: &pb.AgentItem_Register{Register: &pb.Register{AgentId: "go-echo", AnswerOnAccept: true}}}}
	for message := new(pb.ServeResponse); err == nil; message, err = stream.Recv() {
		for _, item := range message.Items {
			if offer := item.GetOffer(); offer != nil {
				reply = append(reply, &pb.AgentItem{Item: &pb.AgentItem_Accept{Accept: &pb.Accept{OfferId: offer.OfferId}}})
			} else if audio := item.GetAudio(); audio != nil {
				reply = append(reply, &pb.AgentItem{Item: &pb.AgentItem_Audio{Audio: &pb.AgentAudio{Pcm: audio.Pcm}}})
			} else {
				fmt.Printf("%T\n", item.Item)
			}
		}
		stream.Send(&pb.ServeRequest{Items: reply}) // an error comes back from Recv
		reply = nil
	}
	fmt.Println(err)
}
