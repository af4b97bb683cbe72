#!/bin/sh
# wine.sh PACKAGE...: run the tests of these packages, and the demo, as Windows programs under
# Wine, in a Wine folder of their own that is removed at the end.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
export WINEPREFIX="$work/prefix" WINEDEBUG=-all
trap 'wineserver -k 2>/dev/null || true; rm -rf "$work"' EXIT

wine wineboot --init >/dev/null 2>&1
system=$WINEPREFIX/drive_c/windows/system32
[ -e "$system/bcryptprimitives.dll" ] ||
  x86_64-w64-mingw32-gcc -shared -o "$system/bcryptprimitives.dll" scripts/wine/bcryptprimitives.c -ladvapi32
wine reg add 'HKCU\Software\Wine' /v Version /d win10 /f >/dev/null 2>&1

export GOOS=windows GOARCH=amd64 CGO_ENABLED=0
# This one waits in a folder that the test cannot remove here.
"${GO:-go}" test -exec wine -skip TestIndexWaitsInAFile "$@"

"${GO:-go}" build -o "$work/ingot.exe" ./cmd/ingot
wine "$work/ingot.exe" demo --keep
