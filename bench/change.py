"""change.py FOLDER ROUND MIB: write noise into files that fill.py made, as a day's work would.

MIB together, in rows of 4 KiB to 8 MiB at random places. Each ROUND (0 to 4) has files of its own, so
that none undoes what the one before it did.
"""
import glob
import os
import random
import sys

CLUSTER, ROUNDS = 4096, 5


def main(folder, turn, mib):
    rand = random.Random(f"ingot change {turn}")
    files = sorted(glob.glob(os.path.join(folder, "media/*/*.bin")))[turn::ROUNDS]
    places = []
    for name in files:
        pos, end = 0, os.path.getsize(name)
        while pos < end:
            length = min(CLUSTER << rand.randrange(12), end - pos)
            places.append((name, pos, length))
            pos += length
    rand.shuffle(places)
    left = mib << 20
    for name, pos, length in places:
        if left <= 0:
            return
        with open(name, "r+b") as f:
            f.seek(pos)
            f.write(rand.randbytes(length))
        left -= length
    if left > 0:
        raise SystemExit(f"round {turn}: the files are {left} bytes too small")


main(sys.argv[1], *map(int, sys.argv[2:]))
