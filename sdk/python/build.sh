#!/bin/sh
# Installs the Python tools into target/tools/python, and builds the examples into target/sdk-examples/python.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target="$here/../../target"
tools="$target/tools/python"
command -v python3 >/dev/null || {
  echo "Python plugins need python3 (3.10 or later) with venv: install it first" >&2
  exit 1
}
if ! cmp -s "$here/requirements.txt" "$tools/.installed"; then
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$tools/.installed"
fi
mkdir -p "$target/sdk-examples/python"
for example in detector-mean:detector-plugin collector-status:collector-plugin; do
  name=${example%:*}
  out="$target/sdk-examples/python/$name.wasm"
  "$tools/bin/componentize-py" --wit-path "$here/../../wit" --world "${example#*:}" \
    componentize --python-path "$here/examples/$name" app --output "$out.writing"
  mv "$out.writing" "$out"
  echo "built $out ($(($(wc -c <"$out") / 1024)) KiB)"
done
