"""CPU memory that tensors have freed: kept for later tensors instead of being returned to the system each time."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of mallopt, see malloc.h of the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = -1
# Their defaults: _MMAP_MAX from the start, _TRIM_THRESHOLD once a large block has been freed.
_MMAP_MAX, _TRIM_THRESHOLD = 65536, 64 * 2**20


@contextmanager
def kept() -> Iterator[None]:
    """Keep freed memory for the length of a `with` block, then return what is unused; GNU C library only.

    By default the library maps each tensor of more than 32 MB anew and unmaps it as soon as it is freed. The system
    clears mapped memory page by page on first write. That made a convolution of Stable Diffusion 1.5, which reorders
    its weights each time it runs, take up to three times as long.
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
