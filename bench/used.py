"""used.py DISK START LENGTH: the used clusters of the NTFS volume at bytes START to START + LENGTH of a disk.

Each line of the output is the offset on the disk and the length of a row of them, in bytes, ascending.
$Bitmap comes from ntfscat, so that what is measured by the list is no word of the program measured.
"""
import re
import subprocess
import sys

CLUSTER = 4096  # as mkdisk.sh formats


def bitmap(disk, start, length):
    loop = subprocess.run(["losetup", "--find", "--show", "--read-only", "--offset", str(start), "--sizelimit", str(length), disk],
                          check=True, capture_output=True, text=True).stdout.strip()
    try:
        return subprocess.run(["ntfscat", "--force", "--inode", "6", loop], check=True, capture_output=True).stdout
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


def main(disk, start, length):
    bits = "".join(f"{b:08b}"[::-1] for b in bitmap(disk, start, length))[:length // CLUSTER]
    for run in re.finditer("1+", bits):
        print(start + run.start() * CLUSTER, len(run.group()) * CLUSTER)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
