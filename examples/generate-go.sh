#!/usr/bin/env bash
# Installs the two Go plugins in .cache/go-bin, makes the stubs in examples/go_stubs/gen and the program
# .cache/go-bin/callweave-echo.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$PWD/.cache/go-bin"
if [ ! -x "$bin/protoc-gen-go" ]; then
  GOBIN="$bin" go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
fi
if [ ! -x "$bin/protoc-gen-go-grpc" ]; then
  GOBIN="$bin" go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
fi
npx --no-install buf generate --template examples/buf.gen.go.yaml
(cd examples/go_stubs && go build -o "$bin/callweave-echo" .)
