#!/bin/sh
# Installs the JavaScript tools into target/tools/js, and builds the examples into target/sdk-examples/js.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target="$here/../../target"
tools="$target/tools/js"
command -v node >/dev/null && command -v npm >/dev/null || {
  echo "JavaScript plugins need node 20 or later and npm: install them first" >&2
  exit 1
}
mkdir -p "$tools"
if ! cmp -s "$here/package-lock.json" "$tools/package-lock.json" || [ ! -e "$tools/.installed" ]; then
  cp "$here/package.json" "$here/package-lock.json" "$tools/"
  rm -f "$tools/.installed"
  # Not `npm ci`: it refuses a lock file that lacks the optional packages of other machines which a registry does not hold.
  (cd "$tools" && npm install --no-audit --no-fund --loglevel=error)
  cp "$here/package-lock.json" "$tools/"
  touch "$tools/.installed"
fi
cp "$here/build.mjs" "$tools/"
for example in detector-mean:detector-plugin collector-status:collector-plugin; do
  name=${example%:*}
  node "$tools/build.mjs" "$here/examples/$name/plugin.js" "${example#*:}" "$here/../../wit" "$target/sdk-examples/js/$name.wasm"
done
