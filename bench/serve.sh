#!/bin/bash
# serve.sh: how fast a served image is read, beside qemu-nbd on a zstd qcow2 of the same disk.
#
#   RUNS=3               runs of each; the table gives medians
#   INGOT=bin/ingot      the program
#   BENCH_DIR=/var/tmp/ingot-bench   where the disk is kept and the outputs go for a while
#   BENCH_SIZE=6G, BENCH_USED=3000   see mkdisk.sh
#
# Sequential: all data of the disk, through NBD by nbdcopy (its own connections and requests) and by
# qemu-img, and through FUSE by fio in reads of 1 MiB. Random: 4 KiB reads by fio, one at a time, over
# the first 2 GiB of the partition; cold is a new server and an empty page cache, warm the same reads
# once more. The image files themselves are in the page cache unless it says cold. Needs root.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../test/fixtures/lib.sh
. "$HERE/../test/fixtures/lib.sh"
# shellcheck source=lib.sh
. "$HERE/lib.sh"

RUNS=${RUNS:-3}
# shellcheck disable=SC2034 # for lib.sh
COLD=''
INGOT=${INGOT:-$HERE/../bin/ingot} BENCH_DIR=${BENCH_DIR:-/var/tmp/ingot-bench}
BENCH_SIZE=${BENCH_SIZE:-6G} BENCH_USED=${BENCH_USED:-3000}
export BENCH_SIZE BENCH_USED
DISK=$BENCH_DIR/disk-$BENCH_SIZE-$BENCH_USED.img OUT=$BENCH_DIR/out

need qemu-nbd:qemu-utils qemu-img:qemu-utils nbdcopy:libnbd-bin fio:fio python3:python3
[ -x "$INGOT" ] || die "no program $INGOT: run make build"

SERVER=''
stop() {
  if [ -n "$SERVER" ]; then
    kill "$SERVER"
    wait "$SERVER" || true
  fi
  SERVER=''
}
trap 'stop; clean_up' EXIT

# start TOOL: serve the disk at OUT/s, or mount it on OUT/mnt.
start() {
  case $1 in
    ingot-nbd) "$INGOT" nbd "$OUT/set" --socket "$OUT/s" >>"$OUT/log" 2>&1 & SERVER=$! ;;
    qemu-nbd) qemu-nbd --read-only --persistent --shared=16 -f qcow2 -k "$OUT/s" "$OUT/disk.qcow2" & SERVER=$! ;;
    ingot-mount)
      "$INGOT" mount "$OUT/set" "$OUT/mnt" >>"$OUT/log" 2>&1 & SERVER=$!
      until [ -e "$OUT/mnt/disk.raw" ]; do sleep 0.1; done
      return
      ;;
  esac
  until nbdinfo --size "$URI" >/dev/null 2>&1; do sleep 0.1; done
}

# cpu: the processor time of the server so far, in hundredths of a second.
cpu() { awk '{print $14 + $15}' "/proc/$SERVER/stat"; }

# sequential TOOL PHASE COMMAND: its time, and the processor time that the server took for it.
sequential() {
  local before
  before=$(cpu)
  measure "$2" "$1" "$3"
  echo "$2 $1 $(($(cpu) - before))" >>"$OUT/cpu"
}

# random TOOL PHASE: fio's percentiles in microseconds.
random() {
  local target=(--ioengine=nbd "--uri=$URI")
  if [ "$1" = ingot-mount ]; then target=(--ioengine=psync "--filename=$OUT/mnt/disk.raw"); fi
  fio --name=random "${target[@]}" --rw=randread --bs=4k --iodepth=1 --offset=1m --size=2g --number_ios=6000 \
    --randseed=7 --invalidate=0 --output-format=json --output="$OUT/fio.json" >/dev/null
  python3 -c '
import json, sys
p = json.load(open(sys.argv[1]))["jobs"][0]["read"]["clat_ns"]["percentile"]
print(sys.argv[2], sys.argv[3], p["50.000000"] / 1000, p["99.000000"] / 1000)' "$OUT/fio.json" "$2" "$1" | tee -a "$OUT/random" >&2
}

begin
bench_disk 3
mkdir "$OUT/set"
URI="nbd+unix:///?socket=$OUT/s"
"$INGOT" image "$DISK" --to "$OUT/set" >"$OUT/log" 2>&1
qemu-img convert -c -O qcow2 -o compression_type=zstd "$DISK" "$OUT/disk.qcow2"
bytes=$(stat -c %s "$DISK")
for _ in $(seq "$RUNS"); do
  for tool in qemu-nbd ingot-nbd ingot-mount; do
    sync
    echo 3 >/proc/sys/vm/drop_caches
    start "$tool"
    random "$tool" cold
    random "$tool" warm
    stop
    input "$OUT"/set/* "$OUT/disk.qcow2"
    start "$tool"
    if [ "$tool" = ingot-mount ]; then
      sequential "$tool" fio-1M "fio --name=all --ioengine=psync --filename=$OUT/mnt/disk.raw --rw=read --bs=1m --size=$((USED / 1048576))m --invalidate=0"
    else
      sequential "$tool" nbdcopy "nbdcopy '$URI' null:"
      sequential "$tool" qemu-img "qemu-img convert -n -f raw '$URI' --target-image-opts driver=null-co,size=$bytes"
    fi
    stop
  done
done
bench_machine
echo
# median FILE PHASE TOOL COLUMN
median() {
  awk -v p="$2" -v t="$3" -v c="$4" '$1 == p && $2 == t {print $c}' "$1" | sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'
}
rows() { cut -d ' ' -f 1,2 "$1" | tr ' ' , | sort -u; }

echo "| $((USED / 1000000)) MB of data in $bytes bytes | s | MB/s | CPU s of the server |"
echo "|---|---:|---:|---:|"
for row in $(rows "$OUT/results"); do
  p=${row%,*} t=${row#*,}
  s=$(median "$OUT/results" "$p" "$t" 3)
  awk -v n="$t, $p" -v s="$s" -v used="$USED" -v cpu="$(median "$OUT/cpu" "$p" "$t" 3)" 'BEGIN {printf "| %s | %.2f | %.0f | %.2f |\n", n, s, used / 1e6 / s, cpu / 100}'
done
echo
echo "| random 4 KiB | p50 µs | p99 µs |"
echo "|---|---:|---:|"
for row in $(rows "$OUT/random"); do
  p=${row%,*} t=${row#*,}
  printf '| %s, %s | %.0f | %.0f |\n' "$t" "$p" "$(median "$OUT/random" "$p" "$t" 3)" "$(median "$OUT/random" "$p" "$t" 4)"
done
