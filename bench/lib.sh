# shellcheck shell=bash
# What the benchmark scripts share: the disk they work on, and one measure. To be sourced by a script
# that has HERE, BENCH_DIR, DISK and OUT set, after test/fixtures/lib.sh.

# bench_disk ROOM: DISK, made when it is not there; PART_START, PART_LEN and USED say what it holds.
# OUT is an empty folder afterwards. Stops when fewer than ROOM times USED bytes and 1 GiB are free.
bench_disk() {
  mkdir -p "$BENCH_DIR"
  if [ ! -e "$DISK.info" ]; then
    rm -f "$BENCH_DIR"/disk-*
    echo "making $DISK" >&2
    "$HERE/mkdisk.sh" "$DISK"
  fi
  # shellcheck source=/dev/null
  . "$DISK.info"
  rm -rf "$OUT"
  local avail wanted=$((USED * $1 + (1 << 30)))
  avail=$(($(df --output=avail -k "$BENCH_DIR" | tail -n 1) * 1024))
  [ "$avail" -ge "$wanted" ] || die "$BENCH_DIR has $avail bytes free, the outputs need up to $wanted"
  mkdir "$OUT"
}

# input FILE...: bring the page cache into the same state before each measure: with COLD set nothing
# is in it, else these files are.
input() {
  sync
  if [ -n "$COLD" ]; then
    echo 3 >/proc/sys/vm/drop_caches
  else
    python3 "$HERE/warm.py" "$@"
  fi
}

# measure PHASE TOOL COMMAND: a line "phase tool seconds user sys" into the results.
measure() {
  local TIMEFORMAT='%R %U %S'
  echo "## $1 $2: $3" >>"$OUT/log"
  if ! { time bash -o pipefail -c "$3" >>"$OUT/log" 2>&1; } 2>"$OUT/time"; then
    tail -n 20 "$OUT/log" >&2
    die "$1 with $2 failed: $3"
  fi
  echo "$1 $2 $(cat "$OUT/time")" | tee -a "$OUT/results" >&2
}

# bench_machine: a line on what it runs on.
bench_machine() {
  local model memory
  model=$(awk -F ': ' '/^model name/ {print $2; exit}' /proc/cpuinfo)
  memory=$(awk '/^MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo)
  echo "Machine: $model, $(nproc) cores, $memory, Linux $(uname -r), $(df --output=fstype "$BENCH_DIR" | tail -n 1)."
}

# version PACKAGE: of a Debian package.
version() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null; }
