#!/bin/sh
# Builds the examples into target/sdk-examples/rust.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
set -- build sdk/rust/examples/detector-mean sdk/rust/examples/collector-status --out target/sdk-examples/rust
if [ -n "${TANDEM_BUILDER:-}" ]; then
  "$TANDEM_BUILDER" "$@"
else
  cargo run --quiet --release --package tandem-builder -- "$@"
fi
