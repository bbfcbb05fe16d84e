#!/bin/sh
# Builds the examples of the named languages, or of all, into target/sdk-examples. A language whose tools cannot be had is told
# as failed, and the others go on.
set -u
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- rust c js python
failed=
for language in "$@"; do
  sh "$here/$language/build.sh" || failed="$failed $language"
done
if [ -n "$failed" ]; then
  echo "could not build the examples of:$failed" >&2
  exit 1
fi
