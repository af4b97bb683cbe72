#!/bin/sh
# fuzz.sh TIME: run every fuzz target of the module for TIME (such as 30s), one after the other.
set -eu
[ $# = 1 ] || { echo "usage: fuzz.sh TIME" >&2; exit 2; }
go=${GO:-go}

# fuzz FOLDER NAME TIME: run one target. The go command itself sometimes takes the end of the time for
# a failure: a worker can see the deadline before the coordinator does. Only that one is forgiven,
# and only where no failing input was found.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
fuzz() {
  if "$go" test -run '^$' -fuzz "^$2\$" -fuzztime "$3" -fuzzminimizetime 10x "$1" >"$log" 2>&1; then
    cat "$log"
    return
  fi
  cat "$log"
  if grep -qx ' *context deadline exceeded' "$log" && ! grep -qE 'Failing input|panic|\.go:[0-9]' "$log"; then
    echo "== $2: the time ended in the middle of an input; no failure was found"
    return
  fi
  return 1
}

targets=$(grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's/:func /:/' | sort)
if [ -z "$targets" ]; then
  echo "fuzz.sh: found no fuzz target" >&2
  exit 1
fi
for target in $targets; do
  folder=$(dirname "${target%%:*}")
  name=${target##*:}
  echo "== $folder $name"
  fuzz "$folder" "$name" "$1"
done
