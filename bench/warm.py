"""warm.py FILE...: read the data of (sparse) files once, so that it is in the page cache."""
import errno
import os
import sys


def warm(path):
    fd = os.open(path, os.O_RDONLY)
    end, position = os.fstat(fd).st_size, 0
    while position < end:
        try:
            position = os.lseek(fd, position, os.SEEK_DATA)
        except OSError as e:
            if e.errno == errno.ENXIO:  # nothing but a hole up to the end
                break
            raise
        hole = os.lseek(fd, position, os.SEEK_HOLE)
        while position < hole:
            position += len(os.pread(fd, min(hole - position, 1 << 22), position))
    os.close(fd)


for name in sys.argv[1:]:
    warm(name)
