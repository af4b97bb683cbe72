#!/bin/sh
# lint.sh STATICCHECK-MODULE: what every change must pass without a word. The rules on who may
# import whom are a Go test and run with the tests.
set -eu
go=${GO:-go}

unformatted=$(find . -name '*.go' -not -path './build/*' -exec gofmt -l {} +)
if [ -n "$unformatted" ]; then
  echo "not gofmt'ed:" "$unformatted" >&2
  exit 1
fi

echo "go vet linux"
"$go" vet ./...
for arch in amd64 arm64; do
  echo "go vet windows/$arch"
  GOOS=windows GOARCH=$arch CGO_ENABLED=0 "$go" vet ./...
done

# Compiled once for this machine; GOOS then chooses the view of the code it looks at.
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
GOBIN=$tool "$go" install "$1"
echo "staticcheck linux"
"$tool/staticcheck" ./...
echo "staticcheck windows"
GOOS=windows GOARCH=amd64 CGO_ENABLED=0 "$tool/staticcheck" ./...

echo "shellcheck"
shellcheck -x -P SCRIPTDIR scripts/*.sh bench/*.sh test/*.sh test/fixtures/*.sh .ci/run
