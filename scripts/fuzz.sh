#!/bin/sh
# fuzz.sh TIME: run every fuzz target of the module for TIME (such as 30s), one after the other.
set -eu
[ $# = 1 ] || { echo "usage: fuzz.sh TIME" >&2; exit 2; }
go=${GO:-go}

targets=$(grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's/:func /:/' | sort)
if [ -z "$targets" ]; then
  echo "fuzz.sh: found no fuzz target" >&2
  exit 1
fi
for target in $targets; do
  folder=$(dirname "${target%%:*}")
  name=${target##*:}
  echo "== $folder $name"
  "$go" test -run '^$' -fuzz "^$name\$" -fuzztime "$1" -fuzzminimizetime 10x "$folder"
done
