package callweave

import (
	"context"
	"iter"
	"time"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Contexts reads and writes the contexts of calls.
type Contexts struct{ connection *connection }

// UpdateContextOptions are the options of writing single fields.
type UpdateContextOptions struct {
	// The names of the fields to write, as in the contract ("summary", "status"); one that is not set is cleared.
	Fields []string
	// The revision that was read; RevisionConflict if it changed. Default: 0, writes without looking.
	Revision uint64
	// Added to the notes; 1 to 2,000 characters. Default: none.
	AddNote string
}

// FindOptions are the options of finding contexts by a number.
type FindOptions struct {
	// Not older than this. Default: 24 hours.
	Within time.Duration
	// 1 to 100. Default: 10.
	PageSize int
}

// Save writes a context: fields that are set replace what is there, turns are appended by id, data is merged. The call id is
// filled in. Waits for a gateway that restarts.
func (c *Contexts) Save(ctx context.Context, callID string, fields *pb.CallContext) (*pb.SaveContextResponse, error) {
	written := proto.CloneOf(fields)
	if written == nil {
		written = &pb.CallContext{}
	}
	written.CallId = callID
	written.Turns = completed(written.GetTurns())
	request := &pb.SaveContextRequest{Context: written}
	return unary(ctx, c.connection, 0, true, pb.NewContextServiceClient, pb.ContextServiceClient.SaveContext, request)
}

// Update writes exactly the fields that are named. RevisionConflict, ContextNotFound.
func (c *Contexts) Update(ctx context.Context, callID string, fields *pb.CallContext, options UpdateContextOptions) (*pb.UpdateContextResponse, error) {
	written := proto.CloneOf(fields)
	if written == nil {
		written = &pb.CallContext{}
	}
	written.CallId = callID
	request := &pb.UpdateContextRequest{
		Context: written, UpdateMask: &fieldmaskpb.FieldMask{Paths: options.Fields}, Revision: options.Revision, AddNote: options.AddNote,
	}
	return unary(ctx, c.connection, 0, false, pb.NewContextServiceClient, pb.ContextServiceClient.UpdateContext, request)
}

// AppendTurns appends 1 to 100 turns. An empty id and time are filled in. A turn whose id is there already is left, except
// that heard and interrupted are added. Waits for a gateway that restarts.
func (c *Contexts) AppendTurns(ctx context.Context, callID string, turns ...*pb.Turn) (*pb.AppendTurnsResponse, error) {
	request := &pb.AppendTurnsRequest{CallId: callID, Turns: completed(turns)}
	return unary(ctx, c.connection, 0, true, pb.NewContextServiceClient, pb.ContextServiceClient.AppendTurns, request)
}

// completed copies turns and fills in what is missing, so that a repetition is safe.
func completed(turns []*pb.Turn) []*pb.Turn {
	var made []*pb.Turn
	for _, turn := range turns {
		turn = proto.CloneOf(turn)
		if turn.GetId() == "" {
			turn.Id = newID()
		}
		if turn.GetTime() == nil {
			turn.Time = timestamppb.Now()
		}
		made = append(made, turn)
	}
	return made
}

// Get is one context with all turns. ContextNotFound. Waits for a gateway that restarts.
func (c *Contexts) Get(ctx context.Context, callID string) (*pb.CallContext, error) {
	return c.get(ctx, &pb.GetContextRequest{Key: &pb.GetContextRequest_CallId{CallId: callID}})
}

// GetBySession is one context by the provider's session id. ContextNotFound.
func (c *Contexts) GetBySession(ctx context.Context, sessionID string) (*pb.CallContext, error) {
	return c.get(ctx, &pb.GetContextRequest{Key: &pb.GetContextRequest_SessionId{SessionId: sessionID}})
}

func (c *Contexts) get(ctx context.Context, request *pb.GetContextRequest) (*pb.CallContext, error) {
	response, err := unary(ctx, c.connection, 0, true, pb.NewContextServiceClient, pb.ContextServiceClient.GetContext, request)
	return response.GetContext(), err
}

// FindByCaller gives the contexts of a caller's number, newest first: the ringing phone shows a number, not a call id.
func (c *Contexts) FindByCaller(ctx context.Context, caller string, options FindOptions) (*pb.FindContextsResponse, error) {
	return c.find(ctx, &pb.FindContextsRequest{Number: &pb.FindContextsRequest_Caller{Caller: caller}}, options)
}

// FindByCallee gives the contexts of the number that was called, newest first.
func (c *Contexts) FindByCallee(ctx context.Context, callee string, options FindOptions) (*pb.FindContextsResponse, error) {
	return c.find(ctx, &pb.FindContextsRequest{Number: &pb.FindContextsRequest_Callee{Callee: callee}}, options)
}

func (c *Contexts) find(ctx context.Context, request *pb.FindContextsRequest, options FindOptions) (*pb.FindContextsResponse, error) {
	request.Within = duration(options.Within)
	request.PageSize = int32(options.PageSize)
	return unary(ctx, c.connection, 0, false, pb.NewContextServiceClient, pb.ContextServiceClient.FindContexts, request)
}

// List gives all contexts that the request asks for, newest first, without turns. With partial the store is away, and only
// what was written since then is here.
func (c *Contexts) List(ctx context.Context, request *pb.ListContextsRequest) (*pb.ListContextsResponse, error) {
	if request == nil {
		request = &pb.ListContextsRequest{}
	}
	return unary(ctx, c.connection, 0, false, pb.NewContextServiceClient, pb.ContextServiceClient.ListContexts, request)
}

// Watch gives contexts as they are written from now on, without turns; of one call, or of all when callID is empty. It ends
// with an error when the stream breaks or ctx ends.
func (c *Contexts) Watch(ctx context.Context, callID string) iter.Seq2[*pb.CallContext, error] {
	return func(yield func(*pb.CallContext, error) bool) {
		reading := true
		err := readStream(ctx, c.connection, pb.NewContextServiceClient, pb.ContextServiceClient.WatchContexts,
			&pb.WatchContextsRequest{CallId: callID}, func(message *pb.WatchContextsResponse) bool {
				reading = yield(message.GetContext(), nil)
				return reading
			})
		if err != nil && reading {
			yield(nil, err)
		}
	}
}

// DeleteCall deletes one call's context; it gives how many were deleted.
func (c *Contexts) DeleteCall(ctx context.Context, callID string) (int, error) {
	return c.delete(ctx, &pb.DeleteContextsRequest{Target: &pb.DeleteContextsRequest_CallId{CallId: callID}})
}

// DeleteCaller deletes everything of a caller; it gives how many were deleted.
func (c *Contexts) DeleteCaller(ctx context.Context, caller string) (int, error) {
	return c.delete(ctx, &pb.DeleteContextsRequest{Target: &pb.DeleteContextsRequest_Caller{Caller: caller}})
}

func (c *Contexts) delete(ctx context.Context, request *pb.DeleteContextsRequest) (int, error) {
	response, err := unary(ctx, c.connection, 0, false, pb.NewContextServiceClient, pb.ContextServiceClient.DeleteContexts, request)
	return int(response.GetDeletedCount()), err
}
