"""read.py [--direct] EXTENTS DISK: read the extents of a disk (see used.py) in their order, 1 MiB at a time.

What `dd bs=1M` of them to /dev/null does, with iflag=direct when so asked.
"""
import mmap
import os
import sys

PIECE = 1 << 20


def main(direct, extents, disk):
    fd = os.open(disk, os.O_RDONLY | (os.O_DIRECT if direct else 0))
    buffer = memoryview(mmap.mmap(-1, PIECE))
    with open(extents) as f:
        for line in f:
            off, length = map(int, line.split())
            while length > 0:
                n = os.preadv(fd, [buffer[:min(length, PIECE)]], off)
                if n <= 0:
                    raise SystemExit(f"{disk} ends at byte {off}")
                off, length = off + n, length - n


main("--direct" in sys.argv, *sys.argv[-2:])
