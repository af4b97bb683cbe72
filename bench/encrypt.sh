#!/bin/bash
# encrypt.sh: what encryption and its tags cost an image and a restore, as a Markdown table.
#
#   RUNS=3               runs of each kind, in turn; the table gives medians
#   INGOT=bin/ingot      the program
#   BENCH_DIR, BENCH_SIZE, BENCH_USED   as for bench.sh
#
# The disk is in the page cache; what writes ends when its output is on the disk. Needs root.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../test/fixtures/lib.sh
. "$HERE/../test/fixtures/lib.sh"
# shellcheck source=lib.sh
. "$HERE/lib.sh"

# shellcheck disable=SC2034 # for lib.sh
RUNS=${RUNS:-3} COLD=
INGOT=${INGOT:-$HERE/../bin/ingot} BENCH_DIR=${BENCH_DIR:-/var/tmp/ingot-bench}
BENCH_SIZE=${BENCH_SIZE:-16G} BENCH_USED=${BENCH_USED:-7600}
export BENCH_SIZE BENCH_USED
DISK=$BENCH_DIR/disk-$BENCH_SIZE-$BENCH_USED.img OUT=$BENCH_DIR/out
KINDS=(plain aes-128 aes-256 conceal)

need python3:python3
[ -x "$INGOT" ] || die "no program $INGOT: run make build"

flags() {
  case $1 in
    plain) ;;
    conceal) echo "--encrypt=aes-256 --conceal --password-file $OUT/password" ;;
    *) echo "--encrypt=$1 --password-file $OUT/password" ;;
  esac
}

password() { [ "$1" = plain ] || echo "--password-file $OUT/password"; }

one() {
  local target=$OUT/target.img
  rm -rf "${OUT:?}/$1"
  mkdir "$OUT/$1"
  input "$DISK"
  measure image "$1" "$INGOT image $DISK --to $OUT/$1 $(flags "$1")"
  input "$OUT/$1"/*.mrimgx
  measure restore "$1" "$INGOT restore $OUT/$1 $target --yes $(password "$1")"
  rm -rf "${OUT:?}/$1" "$target"
}

trap 'rm -rf "$OUT"' EXIT
bench_disk 2
echo "nobody's secret" >"$OUT/password"
chmod 600 "$OUT/password"
for ((i = 0; i < RUNS; i++)); do
  for kind in "${KINDS[@]}"; do one "$kind"; done
done
bench_machine
python3 - "$OUT/results" <<'PY'
import statistics, sys
runs = {}
for line in open(sys.argv[1]):
    phase, kind, *values = line.split()
    runs.setdefault((phase, kind), []).append([float(v) for v in values])
print("\n| | seconds (from – to) | / not encrypted | CPU seconds | / not encrypted |\n| --- | ---: | ---: | ---: | ---: |")
def median(key, f): return statistics.median(f(r) for r in runs[key])
for phase, kind in runs:
    key, plain = (phase, kind), (phase, "plain")
    s, c = (lambda r: r[0]), (lambda r: r[1] + r[2])
    seconds = [r[0] for r in runs[key]]
    print(f"| {phase}, {kind} | {median(key, s):.1f} ({min(seconds):.1f} – {max(seconds):.1f}) | {median(key, s)/median(plain, s):.2f} "
          f"| {median(key, c):.1f} | {median(key, c)/median(plain, c):.2f} |")
PY
