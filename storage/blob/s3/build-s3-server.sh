#!/usr/bin/env bash
# Builds the S3 server that the tests of storage/blob/s3 run against, from its Go module, into .cache/bin of this repository.
# The binary is kept: a second call returns at once. Needs only Go and the module proxy; the first build takes some minutes.
set -euo pipefail

version=v1.8.0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
bin="$root/.cache/bin"
stamp="$bin/versitygw.version"

if [ -x "$bin/versitygw" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$version" ]; then
  exit 0
fi
mkdir -p "$bin"
echo "building versitygw $version into .cache/bin (some minutes, once)"
GOBIN="$bin" CGO_ENABLED=0 go install "github.com/versity/versitygw/cmd/versitygw@$version"
printf '%s\n' "$version" >"$stamp"
