#!/bin/bash
# roundtrip.sh [KIND...]: the main job on real disks: a Windows-like disk is imaged, verified and
# restored over a target full of garbage; other projects' tools then check the target's table and
# volumes, and the hash of every file and stream is compared with the source's.
#
#   KIND  gpt         512 MiB
#         mbr         an MBR disk with logical partitions, 512 MiB
#         4kn         a disk with 4096-byte sectors, 768 MiB
#         cluster64k  C: with 64 KiB clusters, 1 GiB
#         large       4 GiB with copies of /usr/lib
#
# Needs root, FUSE and about 15 GB below $LARGE_DIR (default /var/tmp/ingot-large; disks made once
# are kept there). $INGOT is the program (default bin/ingot).
set -euo pipefail
cd "$(dirname "$0")/.."
INGOT=${INGOT:-bin/ingot} DIR=${LARGE_DIR:-/var/tmp/ingot-large} FIXTURES=test/fixtures
[ -x "$INGOT" ] || { echo "roundtrip.sh: no program $INGOT: make build" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "roundtrip.sh: needs root (loop devices and FUSE mounts)" >&2; exit 1; }
mkdir -p "$DIR"
trap 'rm -rf "$DIR/images" "$DIR/target.img" "$DIR/target.sha256"' EXIT

make_disk() {
  [ -e "$DIR/$1.img.sha256" ] && return
  case $1 in
    gpt) $FIXTURES/windisk.sh "$DIR/$1.img" ;;
    mbr) SCHEME=mbr $FIXTURES/windisk.sh "$DIR/$1.img" ;;
    4kn) SECTOR=4096 $FIXTURES/windisk.sh "$DIR/$1.img" ;;
    large) SIZE=large $FIXTURES/windisk.sh "$DIR/$1.img" ;;
    cluster64k) CLUSTER=65536 SIZE=1G $FIXTURES/windisk.sh "$DIR/$1.img" ;;
    *) echo "roundtrip.sh: no kind $1" >&2; exit 2 ;;
  esac
}

# garbage FILE SIZE: a target in which every byte is wrong.
garbage() {
  python3 - "$1" "$2" <<'EOF'
import random, sys
piece = random.Random(1).randbytes(1 << 20)
with open(sys.argv[1], "wb") as f:
    for _ in range(int(sys.argv[2]) >> 20):
        f.write(piece)
EOF
}

# kept FILE: the hashes of what an image keeps. Windows makes the others anew.
kept() { grep -vE '^[0-9a-f]{64}  [0-9]+/(pagefile|swapfile|hiberfil)\.sys$' "$1"; }

round_trip() {
  local disk=$DIR/$1.img sum image
  sum=$(sha256sum "$disk")
  rm -rf "$DIR/images"
  mkdir "$DIR/images"
  "$INGOT" image "$disk" --to "$DIR/images" --compression medium
  image=$(find "$DIR/images" -name '*.mrimgx')
  "$INGOT" verify "$image"
  garbage "$DIR/target.img" "$(stat -c %s "$disk")"
  "$INGOT" restore "$image" "$DIR/target.img" --yes
  $FIXTURES/fsck.sh "$DIR/target.img"
  $FIXTURES/hash.sh "$DIR/target.img" >"$DIR/target.sha256"
  diff <(kept "$disk.sha256") <(kept "$DIR/target.sha256")
  [ "$(sha256sum "$disk")" = "$sum" ] || { echo "roundtrip.sh: the source was written to" >&2; exit 1; }
  echo "PASS $1: $(stat -c %s "$disk") bytes, $(wc -l <"$DIR/target.sha256") files and streams equal," \
    "image of $(stat -c %s "$image") bytes"
}

[ $# -gt 0 ] || set -- gpt mbr 4kn cluster64k large
for kind; do
  echo "== $kind"
  make_disk "$kind"
  round_trip "$kind"
done
