#!/bin/sh
# need-packages.sh GROUP...: make sure that the commands of these groups are there: test, race,
# lint, bench, wine. Missing ones are installed when this is root on Debian or Ubuntu. Otherwise it
# prints what is missing and the command that installs it, and fails.
set -eu
PATH=$PATH:/usr/sbin:/sbin

# command:package
test_needs="sgdisk:gdisk sfdisk:fdisk mkfs.vfat:dosfstools mcopy:mtools mkntfs:ntfs-3g ntfs-3g:ntfs-3g
  fusermount3:fuse3 getfattr:attr setfacl:acl zstd:zstd python3:python3 partx:util-linux mountpoint:util-linux
  mount:mount fsfreeze:util-linux mke2fs:e2fsprogs mkfs.exfat:exfatprogs mount.exfat-fuse:exfat-fuse
  mkfs.xfs:xfsprogs mkfs.btrfs:btrfs-progs mkfs.f2fs:f2fs-tools cryptsetup:cryptsetup-bin
  wimlib-imagex:wimtools openssl:openssl lvm:lvm2 blkid:util-linux losetup:mount strace:strace
  nbdinfo:libnbd-bin nbdcopy:libnbd-bin qemu-img:qemu-utils qemu-io:qemu-utils fio:fio
  vhdiinfo:libvhdi-utils partclone.ntfs:partclone parted:parted xz:xz-utils lz4:lz4 bzip2:bzip2
  xmllint:libxml2-utils systemd-analyze:systemd setpriv:util-linux pgrep:procps udevadm:udev curl:curl"
race_needs="gcc:gcc"
lint_needs="shellcheck:shellcheck"
bench_needs="partclone.ntfs:partclone ntfsclone:ntfs-3g mkntfs:ntfs-3g sgdisk:gdisk zstd:zstd
  qemu-img:qemu-utils python3:python3 restic:restic borg:borgbackup nbdcopy:libnbd-bin fio:fio"
wine_needs="wine:wine x86_64-w64-mingw32-gcc:gcc-mingw-w64-x86-64"

missing() {
  for group; do
    case $group in
      test) needs=$test_needs ;;
      race) needs=$race_needs ;;
      lint) needs=$lint_needs ;;
      bench) needs=$bench_needs ;;
      wine) needs=$wine_needs ;;
      *) echo "need-packages.sh: no group $group" >&2; return 2 ;;
    esac
    for need in $needs; do
      command -v "${need%%:*}" >/dev/null || echo "${need##*:}"
    done
    # The race detector links C: a compiler without the C library's headers is not enough.
    if [ "$group" = race ] && [ ! -e /usr/include/stdlib.h ]; then echo libc6-dev; fi
  done
}

packages() { missing "$@" | sort -u | tr '\n' ' '; }

missing "$@" >/dev/null
wanted=$(packages "$@")
[ -n "$wanted" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing: $wanted"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update
  # shellcheck disable=SC2086 # a list of names
  apt-get -q install -y --no-install-recommends $wanted
  wanted=$(packages "$@")
  [ -n "$wanted" ] || exit 0
fi
echo "Missing packages: $wanted" >&2
echo "On Debian or Ubuntu:  sudo apt-get install $wanted" >&2
exit 1
