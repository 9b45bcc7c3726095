"""Threads that share the rows of a batch, each with its own cores."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch


def even_parts(rows: int) -> int:
    """Return the largest number of equal parts, at most one per core, into which a batch can be split."""
    return max(count for count in range(1, torch.get_num_threads() + 1) if rows % count == 0)


def threads(parts: int) -> ThreadPoolExecutor:
    """Return a pool of this many threads, which share the cores evenly and flush denormals (see models.denormals)."""
    cores = torch.get_num_threads()
    ready = Barrier(parts + 1)

    def prepare() -> None:
        torch.get_num_threads()  # a thread's first query resets its number, so query before setting it
        torch.set_num_threads(cores // parts)
        torch.set_flush_denormal(True)
        ready.wait()

    pool = ThreadPoolExecutor(parts, "part", prepare)
    for _ in range(parts):
        pool.submit(int)  # starts a thread
    ready.wait()
    torch.set_num_threads(cores)  # threads started later inherit the number that was set last
    return pool
