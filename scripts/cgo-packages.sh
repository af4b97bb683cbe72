#!/bin/sh
# cgo-packages.sh: the folders of the packages that have one file for builds with cgo and one for
# builds without, a line each.
set -eu
grep -rlE --include='*.go' '^//go:build .*\bcgo\b' . | while read -r file; do dirname "$file"; done | sort -u
