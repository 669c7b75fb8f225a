package callweave

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	pb "callweave.dev/go/callweave/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func errorInfo(reason string, metadata ...string) *errdetails.ErrorInfo {
	info := &errdetails.ErrorInfo{Reason: reason, Domain: errorDomain, Metadata: map[string]string{}}
	for i := 0; i < len(metadata); i += 2 {
		info.Metadata[metadata[i]] = metadata[i+1]
	}
	return info
}

func TestErrorsHaveReasons(t *testing.T) {
	err := error(toError(refusal(codes.FailedPrecondition, "CALL_STATE", "call_id", "c-1", "state", "PENDING")))
	var known *Error
	if !errors.As(err, &known) || known.Reason != CallState || known.Code != codes.FailedPrecondition || known.CallID() != "c-1" {
		t.Fatalf("%#v", err)
	}
	if !errors.Is(err, CallState) || errors.Is(err, CallOver) {
		t.Fatal("errors.Is looks at the reason")
	}
	if got := toError(refusal(codes.Unavailable, "FROM_A_NEWER_GATEWAY")); got.Reason != "FROM_A_NEWER_GATEWAY" || !got.Retryable() {
		t.Fatalf("%#v", got)
	}
	for code, want := range map[codes.Code]Reason{
		codes.Unavailable: Transport, codes.Unauthenticated: Unauthenticated, codes.Unimplemented: Transport,
	} {
		if got := toError(status.Error(code, "plain")); got.Reason != want || got.Code != code {
			t.Fatalf("%v: %#v", code, got)
		}
	}
	foreign, _ := status.New(codes.NotFound, "x").WithDetails(&errdetails.ErrorInfo{Reason: "CALL_STATE", Domain: "somebody.else"})
	if got := toError(foreign.Err()); got.Reason != Transport {
		t.Fatalf("%#v", got)
	}
	if toError(nil) != nil || wireError(nil) != nil {
		t.Fatal("nothing is no error")
	}
	wire := &pb.Error{Code: 9, Reason: 999, Message: "newer"}
	if got := wireError(wire); got.Reason != Transport || got.Metadata["reason"] != "999" {
		t.Fatalf("%#v", got)
	}
	wire.Reason = pb.ErrorReason_ERROR_REASON_TRANSFER_UNANSWERED
	if got := wireError(wire); got.Reason != TransferUnanswered || got.Code != codes.FailedPrecondition {
		t.Fatalf("%#v", got)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("enough")
	cancel(cause)
	if got := contextError(ctx); !errors.Is(got, context.Canceled) || !errors.Is(got, cause) || got.Reason != ContextDone {
		t.Fatalf("%#v", got)
	}
}

// The constants are names of the contract.
func TestReasonsAreInTheContract(t *testing.T) {
	for _, reason := range []Reason{
		InvalidField, CallState, CallNotFound, CalleeUnanswered, CommandCancelled, OutcomeUnknown, PendingCommand,
		RequestIDReused, TransferUnanswered, PoolNotFound, Unauthenticated, Superseded, CursorExpired, ContextNotFound,
		RevisionConflict, SeatNotHeld, staleHandle, seatTaken, offerGone, playbackFull, sessionNotFound, goingAway,
		streamQueueFull,
	} {
		if _, ok := pb.ErrorReason_value[reasonPrefix+string(reason)]; !ok {
			t.Errorf("%s is not in the contract", reason)
		}
	}
}

// Every exported name of the package has a doc comment: types, functions, methods, constants, fields.
func TestEveryExportedNameIsDocumented(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		fileSet := token.NewFileSet()
		parsed, err := parser.ParseFile(fileSet, file.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		check := func(name *ast.Ident, docs ...*ast.CommentGroup) {
			if !name.IsExported() {
				return
			}
			names++
			for _, doc := range docs {
				if strings.TrimSpace(doc.Text()) != "" {
					return
				}
			}
			t.Errorf("%s: %s has no comment", fileSet.Position(name.Pos()), name.Name)
		}
		for _, declaration := range parsed.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				check(d.Name, d.Doc)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.ValueSpec:
						for _, name := range s.Names {
							docs := []*ast.CommentGroup{s.Doc, s.Comment}
							if len(d.Specs) == 1 {
								docs = append(docs, d.Doc)
							}
							check(name, docs...)
						}
					case *ast.TypeSpec:
						check(s.Name, s.Doc, d.Doc)
						if fields, ok := s.Type.(*ast.StructType); ok && s.Name.IsExported() {
							for _, field := range fields.Fields.List {
								for _, name := range field.Names {
									check(name, field.Doc, field.Comment)
								}
							}
						}
					}
				}
			}
		}
	}
	if names < 200 {
		t.Errorf("only %d exported names were found", names)
	}
}
