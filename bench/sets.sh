#!/bin/bash
# sets.sh [warm] [cold] [merge] [roll]: what keeping backup sets costs, as Markdown tables.
#
#   warm, cold   an incremental of an unchanged disk, against reading its used clusters, with the disk
#                in the page cache or not; warm has the second run of restic and of borg, too
#   merge, roll  five incrementals become one, a full is rolled forward over them, against cp of the
#                same files; the files in the page cache
#
#   RUNS=3               runs of each tool, in turn; the tables give medians
#   CHANGED=400          MiB that change before each of the five incrementals
#   INGOT=bin/ingot      the program
#   PEERS="restic borg"  leave some out by naming the others
#   BENCH_DIR, BENCH_SIZE, BENCH_USED   as for bench.sh
#
# What writes ends when its output is on the disk. CPU seconds are those of the processes. Needs root.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=../test/fixtures/lib.sh
. "$HERE/../test/fixtures/lib.sh"
# shellcheck source=lib.sh
. "$HERE/lib.sh"

RUNS=${RUNS:-3} CHANGED=${CHANGED:-400} PEERS=${PEERS-restic borg} COLD=
INGOT=${INGOT:-$HERE/../bin/ingot} BENCH_DIR=${BENCH_DIR:-/var/tmp/ingot-bench}
BENCH_SIZE=${BENCH_SIZE:-16G} BENCH_USED=${BENCH_USED:-7600}
export BENCH_SIZE BENCH_USED
DISK=$BENCH_DIR/disk-$BENCH_SIZE-$BENCH_USED.img OUT=$BENCH_DIR/out
# Nobody's secrets: the repositories live as long as this script.
export RESTIC_REPOSITORY=$OUT/restic RESTIC_PASSWORD=bench RESTIC_CACHE_DIR=$OUT/cache-restic
export BORG_REPO=$OUT/borg BORG_PASSPHRASE=bench BORG_BASE_DIR=$OUT/cache-borg

need python3:python3 ntfscat:ntfs-3g ntfs-3g:ntfs-3g
for peer in $PEERS; do
  case $peer in
    restic) need restic:restic ;;
    borg) need borg:borgbackup ;;
    *) die "no peer $peer: choose of restic and borg" ;;
  esac
done
[ -x "$INGOT" ] || die "no program $INGOT: run make build"
[ $# -gt 0 ] || set -- warm cold merge roll

# An incremental of an unchanged disk.

unchanged() { # COLD or not, by phase $1
  local tools=(read ingot) tool i
  if [ "$1" = cold ]; then tools=(read direct ingot); else read -ra tools <<<"read ingot $PEERS"; fi
  for tool in "${tools[@]}"; do first "$tool"; done
  for ((i = 0; i < RUNS; i++)); do
    for tool in "${tools[@]}"; do again "$1" "$tool"; done
  done
  rm -rf "$OUT/set" "$OUT"/{restic,borg,cache-restic,cache-borg}
}

# first TOOL: the backup that is not measured.
first() {
  echo "first $1" >&2
  case $1 in
    ingot) full "$DISK" ;;
    restic) restic init -q && restic backup -q "$DISK" ;;
    borg) borg init --encryption=repokey && borg create "::first" "$DISK" ;;
  esac >>"$OUT/log" 2>&1
}

full() {
  mkdir "$OUT/set"
  "$INGOT" image "$1" --to "$OUT/set" --name set --type full
}

# again PHASE TOOL: the same once more. The peers are told to read the disk although its time is the same.
again() {
  input "$DISK"
  case $2 in
    read) measure "$1" "$2" "python3 $HERE/read.py $OUT/extents $DISK" ;;
    direct) measure "$1" "$2" "python3 $HERE/read.py --direct $OUT/extents $DISK" ;;
    ingot)
      measure "$1" "$2" "$INGOT image $DISK --to $OUT/set --name set --type inc"
      rm "$OUT/set/set-01-01.mrimgx" # so that each run has the full as its parent
      ;;
    restic) measure "$1" "$2" "restic backup -q --force $DISK && sync -f $OUT" ;;
    borg) measure "$1" "$2" "borg create --files-cache=disabled ::again-$RANDOM$RANDOM $DISK && sync -f $OUT" ;;
  esac
}

# Consolidation.

# make_set: a full and five incrementals of a copy of the disk, in OUT/set.
make_set() {
  local copy=$OUT/disk.img turn
  cp --sparse=always "$DISK" "$copy"
  full "$copy" >>"$OUT/log" 2>&1
  for turn in 0 1 2 3 4; do
    echo "incremental $((turn + 1))" >&2
    attach "$copy" "$PART_START" "$PART_LEN"
    mount_ntfs "$LOOP" "$WORK/c" big_writes,noatime,windows_names
    python3 "$HERE/change.py" "$WORK/c" "$turn" "$CHANGED"
    unmount_ntfs
    detach "$LOOP"
    "$INGOT" image "$copy" --to "$OUT/set" --name set --type inc >>"$OUT/log" 2>&1
  done
  rm "$copy"
}

consolidation() { # PHASE FIRST-NUMBER
  local i tool files=("$OUT"/set/set-0["$2"-5]-*.mrimgx)
  echo "bytes $1 $(cat "${files[@]}" | wc -c)" >>"$OUT/results"
  for ((i = 0; i < RUNS; i++)); do
    for tool in cp ingot; do
      # Links: consolidation writes into no file that is there, and cp finds the same ones.
      rm -rf "$OUT/copy" "$OUT/run"
      mkdir "$OUT/copy"
      cp --recursive --link "$OUT/set" "$OUT/run"
      input "${files[@]}"
      case $tool in
        cp) measure "$1" cp "cp ${files[*]} $OUT/copy && sync $OUT/copy/* $OUT/copy" ;;
        ingot)
          measure "$1" ingot "$INGOT consolidate $OUT/run/set-0$2-0$2.mrimgx $OUT/run/set-05-05.mrimgx --yes"
          "$INGOT" sets "$OUT/run" >>"$OUT/log" || die "$1: the set is not whole any more"
          ;;
      esac
    done
  done
  "$INGOT" verify "$OUT/run/set-05-05.mrimgx" >>"$OUT/log" 2>&1 || die "$1: the consolidated file does not verify"
  rm -rf "$OUT/copy" "$OUT/run"
}

warm() { unchanged warm; }
cold() { COLD=1; unchanged cold; COLD=; }
merge() { [ -e "$OUT/set" ] || make_set; consolidation merge 1; }
roll() { [ -e "$OUT/set" ] || make_set; consolidation roll 0; }

machine() {
  bench_machine
  echo "Peers: restic $(version restic), borg $(version borgbackup), coreutils $(version coreutils), with their defaults."
  echo "Data: a disk file of $BENCH_SIZE with one NTFS volume of 4 KiB clusters, $((USED / 1000000)) MB used in" \
    "$(wc -l <"$OUT/extents") rows; $CHANGED MiB of it changed before each of five incrementals."
  echo "Medians of $RUNS runs, the tools in turn."
}

begin
trap 'clean_up; rm -rf "$OUT"' EXIT
bench_disk 3 # at one time three sets of backups, or a copy of the disk, a set and what it becomes
python3 "$HERE/used.py" "$DISK" "$PART_START" "$PART_LEN" >"$OUT/extents"
echo "bytes warm $USED
bytes cold $USED" >"$OUT/results"
for phase; do
  case $phase in
    warm | cold | merge | roll) "$phase" ;;
    *) die "no phase $phase: choose of warm, cold, merge and roll" ;;
  esac
done
machine
python3 "$HERE/sets_table.py" <"$OUT/results"
