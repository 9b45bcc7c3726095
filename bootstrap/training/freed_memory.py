"""Memory of the CPU that tensors have freed: kept for the next ones, not given back to the system each time."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# Of mallopt, see malloc.h of the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = -1
# What they are by themselves: the one from the beginning, the other once large memory has been freed.
_MMAP_MAX, _TRIM_THRESHOLD = 65536, 64 * 2**20


@contextmanager
def kept() -> Iterator[None]:
    """Keep what is freed for the length of a `with` block, then give back what is not used; GNU C library only.

    The library gets each tensor of more than 32 MB from the system and returns it at once when it is freed. The system
    clears memory before it hands it out, page by page, when it is first written: a convolution of Stable Diffusion 1.5,
    which brings its weights into another order each time it runs, took up to three times as long for it.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    library = ctypes.CDLL(None)
    library.mallopt(_M_MMAP_MAX, 0)
    library.mallopt(_M_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        library.mallopt(_M_MMAP_MAX, _MMAP_MAX)
        library.mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD)
        library.malloc_trim(0)
