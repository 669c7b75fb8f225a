package callweave

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
)

// dial makes an HTTP/2 connection that begins with its first request.
func dial(o *ConnectionOptions, endpoint string) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if o.TLS != nil {
		transport = credentials.NewTLS(o.TLS.Clone())
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDisableRetry(),
		grpc.WithUserAgent("callweave-go/" + Version),
		// 64 KiB would hold 20 ms of round trip for about 68 calls only.
		grpc.WithInitialWindowSize(windowBytes),
		grpc.WithInitialConnWindowSize(connWindowBytes),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: o.Keepalive, Timeout: keepaliveTimeout, PermitWithoutStream: true}),
	}
	if isLoopback(endpoint) {
		options = append(options, grpc.WithNoProxy())
	}
	conn, err := grpc.NewClient(endpoint, append(options, o.DialOptions...)...)
	if err != nil {
		made := invalidField("Endpoint", `"host:port"`, endpoint)
		made.cause = err
		return nil, made
	}
	return conn, nil
}

// isLoopback tells whether an endpoint is this machine: then no proxy is used.
func isLoopback(endpoint string) bool {
	if strings.HasPrefix(endpoint, "unix:") {
		return true
	}
	for _, scheme := range []string{"dns:", "passthrough:", "ipv4:", "ipv6:"} {
		endpoint = strings.TrimPrefix(endpoint, scheme)
	}
	endpoint = endpoint[strings.LastIndex(endpoint, "/")+1:]
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		host = strings.Trim(endpoint, "[]")
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// authorized adds the bearer token, if there is one.
func (o *ConnectionOptions) authorized(ctx context.Context) (context.Context, error) {
	token, err := o.token(ctx)
	if err != nil || token == "" {
		return ctx, err
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), nil
}

// token waits for the token source, but no longer than ctx: one that does not heed its context holds up nothing but itself.
func (o *ConnectionOptions) token(ctx context.Context) (string, error) {
	if o.TokenSource == nil {
		return o.Token, nil
	}
	type answer struct {
		token string
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		a.err = guard(func() (err error) { a.token, err = o.TokenSource(ctx); return err })
		answers <- a
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return "", &Error{Reason: Transport, Code: codes.Unknown, Message: "there is no token: " + a.err.Error(), cause: a.err}
		}
		return a.token, nil
	case <-ctx.Done():
		return "", &Error{Reason: Transport, Code: codes.DeadlineExceeded, Message: "the token source does not answer", cause: ctx.Err()}
	}
}

// connection is what unary requests and the streams of observers go over. It is made when it is needed and changes its
// endpoint when one cannot be reached.
type connection struct {
	options ConnectionOptions

	mu     sync.Mutex
	conn   *grpc.ClientConn
	index  int
	closed bool
}

func (c *connection) get() (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, closedError("client")
	}
	if c.conn == nil {
		conn, err := dial(&c.options, c.options.Endpoints[c.index%len(c.options.Endpoints)])
		if err != nil {
			return nil, err
		}
		c.conn = conn
	}
	return c.conn, nil
}

// rotate goes on to the next endpoint, if this connection is still the one in use.
func (c *connection) rotate(from *grpc.ClientConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != from || len(c.options.Endpoints) < 2 {
		return
	}
	c.index++
	c.conn = nil
	_ = from.Close()
}

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// unary does a request within the request timeout plus extra. patient requests wait for a gateway that cannot be reached.
func unary[C, Q, S any](ctx context.Context, c *connection, extra time.Duration, patient bool,
	newClient func(grpc.ClientConnInterface) C,
	method func(client C, ctx context.Context, request Q, options ...grpc.CallOption) (S, error), request Q,
) (S, error) {
	var none S
	conn, err := c.get()
	if err != nil {
		return none, err
	}
	timed, cancel := context.WithTimeout(ctx, c.options.RequestTimeout+extra)
	defer cancel()
	response, err := func() (S, error) {
		with, err := c.options.authorized(timed)
		if err != nil {
			return none, err
		}
		return method(newClient(conn), with, request, grpc.WaitForReady(patient))
	}()
	if err == nil {
		return response, nil
	}
	if ctx.Err() != nil {
		return none, contextError(ctx)
	}
	failed := toError(err)
	inTime := failed.Code != codes.DeadlineExceeded && failed.Code != codes.Canceled && failed.Reason != ContextDone
	if !inTime && (failed.Reason == Transport || failed.Reason == ContextDone) {
		// The other side, or a derived context, may see the deadline a moment before ctx does.
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < deadlineSlack {
			<-ctx.Done()
			return none, contextError(ctx)
		}
		failed = &Error{Reason: Transport, Code: codes.DeadlineExceeded, Message: "no answer within " + (c.options.RequestTimeout + extra).String(), cause: err}
	}
	if failed.Code == codes.Unavailable {
		c.rotate(conn)
	}
	return none, failed
}

// readStream reads a server stream until it ends, it fails, or take gives false.
func readStream[C, Q, S any](ctx context.Context, c *connection,
	newClient func(grpc.ClientConnInterface) C,
	method func(client C, ctx context.Context, request Q, options ...grpc.CallOption) (grpc.ServerStreamingClient[S], error),
	request Q, take func(*S) bool,
) (err error) {
	conn, err := c.get()
	if err != nil {
		return err
	}
	stopping, cancel := context.WithCancel(ctx)
	defer cancel()
	starting, started := context.WithTimeout(stopping, c.options.RequestTimeout)
	with, err := c.options.authorized(starting)
	started()
	if err == nil {
		if md, ok := metadata.FromOutgoingContext(with); ok {
			stopping = metadata.NewOutgoingContext(stopping, md)
		}
		var stream grpc.ServerStreamingClient[S]
		if stream, err = method(newClient(conn), stopping, request); err == nil {
			for {
				var message *S
				if message, err = stream.Recv(); err != nil || !take(message) {
					break
				}
			}
		}
	}
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return nil
	case ctx.Err() != nil:
		return contextError(ctx)
	}
	failed := toError(err)
	if failed.Code == codes.Unavailable {
		c.rotate(conn)
	}
	return failed
}

// guard runs a function of the program; a panic in it is its error.
func guard(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = newError(HandlerPanicked, codes.Internal, fmt.Sprintf("panic: %v\n%s", value, debug.Stack()))
		}
	}()
	return f()
}
