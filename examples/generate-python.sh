#!/usr/bin/env bash
# Makes a Python environment in .cache/examples-venv and the stubs in examples/gen/python.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.cache/examples-venv
mkdir -p .cache
exec 9>.cache/examples-venv.lock
if command -v flock >/dev/null; then flock 9; fi # one at a time makes the environment
if ! "$venv/bin/python" -c 'import grpc, grpc_tools' 2>/dev/null; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r examples/requirements.txt
fi
mkdir -p examples/gen/python
"$venv/bin/python" -m grpc_tools.protoc --proto_path=proto \
  --python_out=examples/gen/python --grpc_python_out=examples/gen/python proto/callweave/v1/*.proto
