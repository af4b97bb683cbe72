#!/bin/bash
# bench.sh [image] [verify] [restore]: ingot and its peers in turn on the same disk, as Markdown tables.
#
#   RUNS=3               runs of each tool; the table gives medians
#   COLD=1               drop the page cache before each measure (else the input is read once before)
#   SOURCE=loop|file     what ingot reads: a loop device of the disk, as the peers read one of the
#                        partition (default), or the disk file itself
#   INGOT=bin/ingot      the program
#   PEERS_ONLY=1         leave ingot out
#   BENCH_DIR=/var/tmp/ingot-bench   where the disk is kept and the outputs go for a while
#   BENCH_SIZE, BENCH_USED           see mkdisk.sh; the disk is made anew when they change
#
# Every measure ends when the output is synced to the disk. CPU seconds are those of the processes;
# the kernel's own threads (loop devices, write-back) are not in them. Needs root.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../test/fixtures/lib.sh
. "$HERE/../test/fixtures/lib.sh"
# shellcheck source=lib.sh
. "$HERE/lib.sh"

RUNS=${RUNS:-3} COLD=${COLD:-} SOURCE=${SOURCE:-loop} PEERS_ONLY=${PEERS_ONLY:-}
INGOT=${INGOT:-$HERE/../bin/ingot} BENCH_DIR=${BENCH_DIR:-/var/tmp/ingot-bench}
BENCH_SIZE=${BENCH_SIZE:-16G} BENCH_USED=${BENCH_USED:-7600}
export BENCH_SIZE BENCH_USED
DISK=$BENCH_DIR/disk-$BENCH_SIZE-$BENCH_USED.img OUT=$BENCH_DIR/out

need partclone.ntfs:partclone ntfsclone:ntfs-3g zstd:zstd qemu-img:qemu-utils python3:python3
case $SOURCE in loop | file) ;; *) die "SOURCE must be loop or file, not $SOURCE" ;; esac
TOOLS=(partclone ntfsclone qemu-img ingot)
if [ -n "$PEERS_ONLY" ]; then
  TOOLS=(partclone ntfsclone qemu-img)
elif [ ! -x "$INGOT" ]; then
  die "no program $INGOT: run make build, or set PEERS_ONLY=1"
fi
[ $# -gt 0 ] || set -- image verify restore

prepare() {
  bench_disk "${#TOOLS[@]}" # at one time there are the outputs of all tools and one target
  attach "$DISK" "$PART_START" "$PART_LEN" --read-only
  PART=$LOOP
  INGOT_SOURCE=$DISK
  if [ "$SOURCE" = loop ]; then
    attach "$DISK" 0 "$(stat -c %s "$DISK")" --read-only
    INGOT_SOURCE=$LOOP
  fi
}

# output TOOL: the file it made in the image phase.
output() {
  case $1 in
    qemu-img) echo "$OUT/qemu-img.qcow2" ;;
    ingot) find "$OUT/ingot" -name '*.mrimgx' ;;
    *) echo "$OUT/$1.zst" ;;
  esac
}

image() {
  local out
  rm -rf "${OUT:?}/$1" "$OUT/$1.zst" "$OUT/$1.qcow2"
  input "$DISK"
  out=$(output "$1" 2>/dev/null) || true
  case $1 in
    partclone) measure image "$1" "partclone.ntfs -c -q -L $OUT/partclone.log -s $PART -o - | zstd -q -1 -T0 >$out && sync $out" ;;
    ntfsclone) measure image "$1" "ntfsclone -q -f -s -o - $PART | zstd -q -1 -T0 >$out && sync $out" ;;
    qemu-img) measure image "$1" "qemu-img convert -c -f raw -O qcow2 -o compression_type=zstd $DISK $out && sync $out" ;;
    ingot) measure image "$1" "mkdir $OUT/ingot && $INGOT image $INGOT_SOURCE --to $OUT/ingot --compression medium" ;;
  esac
  echo "size $1 $(stat -c %s "$(output "$1")")" >>"$OUT/results"
}

# The peers cannot check their images themselves; zstd at least checks its frames.
verify() {
  [ "$1" != qemu-img ] || return 0
  local out
  out=$(output "$1")
  input "$out"
  case $1 in
    ingot) measure verify "$1" "$INGOT verify $out" ;;
    *) measure verify "$1" "zstd -q -t $out" ;;
  esac
}

restore() {
  local out target=$OUT/target.img
  out=$(output "$1")
  rm -f "$target"
  # As large as what the tool restores: the partition, or the disk.
  case $1 in partclone | ntfsclone) truncate -s "$PART_LEN" "$target" ;; *) truncate -s "$BENCH_SIZE" "$target" ;; esac
  input "$out"
  case $1 in
    partclone) measure restore "$1" "zstd -q -dc $out | partclone.ntfs -r -q -C -L $OUT/partclone.log -s - -O $target && sync $target" ;;
    ntfsclone) measure restore "$1" "zstd -q -dc $out | ntfsclone -q -r -O $target - && sync $target" ;;
    qemu-img) measure restore "$1" "qemu-img convert -f qcow2 -O raw $out $target && sync $target" ;;
    ingot) measure restore "$1" "$INGOT restore $out $target --yes && sync $target" ;;
  esac
  check_target "$1" "$target"
  rm -f "$target"
}

# check_target TOOL FILE: a restore that gives no sound volume is no measure.
check_target() {
  local start=0
  case $1 in qemu-img | ingot) start=$PART_START ;; esac
  attach "$2" "$start" "$PART_LEN" --read-only
  ntfsresize --info --force --no-progress-bar "$LOOP" >"$OUT/check" 2>&1 || { cat "$OUT/check" >&2; die "$1 restored no sound volume"; }
  detach "$LOOP"
}

machine() {
  bench_machine
  echo "Tools: partclone $(version partclone), ntfs-3g $(version ntfs-3g), zstd $(version zstd), qemu $(version qemu-utils)."
  echo "Data: a disk of $BENCH_SIZE with one NTFS volume of 4 KiB clusters, $((USED / 1000000)) MB used, half of it" \
    "programs and texts, half noise. $([ -n "$COLD" ] && echo "Cold: page cache dropped before each run." || echo "Input in the page cache.")"
  echo "Medians of $RUNS runs, the tools in turn; each ends with the output synced. Ingot read" \
    "$([ "$SOURCE" = loop ] && echo "a loop device of the disk" || echo "the disk file"), partclone and ntfsclone a loop device of the partition, qemu-img the disk file."
  [ -z "$PEERS_ONLY" ] || echo "Ingot was left out of this run (PEERS_ONLY=1)."
}

begin
trap 'clean_up; rm -rf "$OUT"' EXIT
prepare
if [ "$1" != image ]; then # the other phases need its outputs, not its times
  for tool in "${TOOLS[@]}"; do image "$tool"; done
  sed -i '/^image /d' "$OUT/results"
fi
for phase; do
  for ((i = 0; i < RUNS; i++)); do
    for tool in "${TOOLS[@]}"; do "$phase" "$tool"; done
  done
done
machine
python3 "$HERE/table.py" "$USED" <"$OUT/results"
