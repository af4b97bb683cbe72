#!/bin/bash
# convert.sh: ingot convert and qemu-img convert in turn on the same disk, as a Markdown table.
#
#   RUNS=3               runs of each; the table gives medians
#   COLD=1               drop the page cache before each measure (else the input is read once before)
#   INGOT=bin/ingot      the program
#   BENCH_DIR=/var/tmp/ingot-bench   where the disk is kept and the outputs go for a while
#   BENCH_SIZE=4G, BENCH_USED=1900   see mkdisk.sh; the disk is made anew when they change
#
# "ingot" reads what the file system uses; "ingot-all" reads all sectors, as qemu-img does, and both
# leave out zeros. Every measure ends when the output is synced to the disk. Needs root.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../test/fixtures/lib.sh
. "$HERE/../test/fixtures/lib.sh"
# shellcheck source=lib.sh
. "$HERE/lib.sh"

RUNS=${RUNS:-3} COLD=${COLD:-} INGOT=${INGOT:-$HERE/../bin/ingot} BENCH_DIR=${BENCH_DIR:-/var/tmp/ingot-bench}
BENCH_SIZE=${BENCH_SIZE:-4G} BENCH_USED=${BENCH_USED:-1900}
export BENCH_SIZE BENCH_USED
DISK=$BENCH_DIR/disk-$BENCH_SIZE-$BENCH_USED.img OUT=$BENCH_DIR/out

need qemu-img:qemu-utils python3:python3
[ -x "$INGOT" ] || die "no program $INGOT: run make build"
bench_disk 5

# one CASE INPUT OUTPUT QEMU-ARGUMENTS INGOT-ARGUMENTS: each tool once.
one() {
  local out=$OUT/$3
  input "$2"
  measure "$1" qemu-img "qemu-img convert $4 '$2' '$out' && sync '$out'"
  rm "$out"
  input "$2"
  measure "$1" ingot-all "'$INGOT' convert --all-sectors --force $5 '$2' '$out'"
  rm "$out"
  input "$2"
  measure "$1" ingot "'$INGOT' convert --force $5 '$2' '$out'"
  echo "size $1 $(stat -c %s "$out")" >>"$OUT/results"
}

for ((i = 0; i < RUNS; i++)); do
  one raw-vhdx "$DISK" a.vhdx "-f raw -O vhdx -o subformat=dynamic" ""
  one raw-vhd "$DISK" a.vhd "-f raw -O vpc" ""
  one raw-qcow2 "$DISK" a.qcow2 "-f raw -O qcow2" ""
  one raw-qcow2-zstd "$DISK" c.qcow2 "-W -m 8 -f raw -O qcow2 -c -o compression_type=zstd" "--compress"
  one raw-vmdk "$DISK" a.vmdk "-f raw -O vmdk" ""
  one raw-vmdk-stream "$DISK" c.vmdk "-f raw -O vmdk -o subformat=streamOptimized" "--compress"
  one qcow2-raw "$OUT/a.qcow2" a.raw "-f qcow2 -O raw" ""
  one qcow2-zstd-raw "$OUT/c.qcow2" a.raw "-f qcow2 -O raw" ""
  one vhdx-qcow2 "$OUT/a.vhdx" b.qcow2 "-f vhdx -O qcow2" ""
done
bench_machine
echo "The disk has $BENCH_SIZE with $((USED / 1000000)) MB in use; qemu-img $(version qemu-utils)."
python3 "$HERE/convert_table.py" "$USED" <"$OUT/results"
rm -rf "$OUT"
