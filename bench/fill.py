"""fill.py FOLDER MIB: files for the bench disk, half copies of this machine's programs, half noise.

The copies are repeated until half of the space is used. In every copy each file begins with a few
bytes of noise of its own length, so that neither equal blocks nor equal files lie on the disk twice.
The two kinds are mixed in the order they are written.
"""
import os
import random
import sys

SOURCES = ("/usr/lib", "/usr/share", "/usr/local/go")
MIB = 1 << 20


def real_files():
    """Path and shown path of every regular file whose name Windows would take."""
    for top in SOURCES:
        for folder, folders, files in os.walk(top):
            folders.sort()
            for name in sorted(files):
                path = os.path.join(folder, name)
                if not os.path.islink(path) and os.path.isfile(path) and not set(path) & set('<>:"|?*\\'):
                    yield path


def copies(rand):
    """Name and content, without end."""
    turn = 0
    while True:
        found = False
        for path in real_files():
            found = True
            with open(path, "rb") as f:
                yield f"copy{turn}{path}", rand.randbytes(rand.randrange(1, 512)) + f.read()
        if not found:
            raise SystemExit(f"no files below {SOURCES}")
        turn += 1


def noise(rand):
    number = 0
    while True:
        yield f"media/{number // 100:03d}/clip{number:05d}.bin", rand.randbytes(rand.randrange(MIB // 4, 16 * MIB))
        number += 1


def main(top, mib):
    rand = random.Random("ingot bench")
    kinds, written = (copies(rand), noise(rand)), [0, 0]
    while sum(written) < mib * MIB:
        kind = 0 if written[0] <= written[1] else 1
        name, data = next(kinds[kind])
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        written[kind] += len(data) + 4096


main(sys.argv[1], int(sys.argv[2]))
