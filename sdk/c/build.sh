#!/bin/sh
# Builds the examples into target/sdk-examples/c. Needs clang and wasm-ld; the builder says what to install where they lack.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
builder() {
  if [ -n "${TANDEM_BUILDER:-}" ]; then
    "$TANDEM_BUILDER" "$@"
  else
    cargo run --quiet --release --package tandem-builder -- "$@"
  fi
}
for example in detector-mean:detector-plugin collector-status:collector-plugin; do
  name=${example%:*}
  builder build-c "sdk/c/examples/$name" --world "${example#*:}" --name "$name-c" --out "target/sdk-examples/c/$name.wasm"
done
