#!/bin/sh
# Our witness and our checkpoints against peers of the world, in Go: builds litewitness (a C2SP witness) and a client
# that opens cosigned notes, and runs the tests that talk to them. Needs go, a C compiler, ssh-agent and python3.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
peers=${CARGO_TARGET_DIR:-$here/target}/witness-peers
for tool in go ssh-agent ssh-keygen python3; do
  command -v "$tool" > /dev/null || { echo "skipped: no $tool" >&2; exit "${CI_STRICT:-0}"; }
done
mkdir -p "$peers"
(cd "$here/tools/cosignature" && go build -o "$peers/cosignature" .)
CGO_ENABLED=1 GOBIN="$peers" go install filippo.io/torchwood/cmd/litewitness@v0.9.0
TWINPACT_WITNESS_PEERS="$peers" cargo test -q -p twinpact-node --test it -- witness_peer --nocapture
