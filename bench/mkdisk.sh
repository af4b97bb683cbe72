#!/bin/bash
# mkdisk.sh OUT: the disk the benchmarks work on, a sparse file with a GPT and one NTFS partition.
# Half of the data compresses (copies of /usr/lib, /usr/share and the Go tree), half does not (noise).
#
#   BENCH_SIZE=16G      size of the disk
#   BENCH_USED=7600     MiB of files
#
# OUT.info gets shell variables for bench.sh. Needs root and FUSE.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../test/fixtures/lib.sh
. "$HERE/../test/fixtures/lib.sh"

[ $# = 1 ] || die "usage: [BENCH_SIZE=16G] [BENCH_USED=7600] mkdisk.sh OUT"
need sgdisk:gdisk mkntfs:ntfs-3g ntfs-3g:ntfs-3g python3:python3 partx:util-linux

begin
DISK=$1.part
trap 'rm -f "$DISK"; clean_up' EXIT
rm -f "$DISK" "$1.info"
truncate -s "${BENCH_SIZE:-16G}" "$DISK"
sgdisk --clear --align-end -n 1:0:0 -t 1:0700 "$DISK" >"$WORK/table.log" || { cat "$WORK/table.log" >&2; die "sgdisk failed"; }
read -r _ START LEN _ < <(partitions "$DISK")
attach "$DISK" "$START" "$LEN"
mkntfs -q -Q -F -p $((START / 512)) -H 255 -S 63 -L Bench "$LOOP" >/dev/null 2>&1
mount_ntfs "$LOOP" "$WORK/c" big_writes,noatime,windows_names
python3 "$HERE/fill.py" "$WORK/c" "${BENCH_USED:-7600}"
read -r BLOCKS FREE UNIT < <(stat --file-system --format '%b %f %S' "$WORK/c")
unmount_ntfs
detach "$LOOP"
sync "$DISK"
{
  echo "PART_START=$START"
  echo "PART_LEN=$LEN"
  echo "USED=$(((BLOCKS - FREE) * UNIT))"
} >"$WORK/info"
mv "$DISK" "$1"
cp "$WORK/info" "$1.info"
