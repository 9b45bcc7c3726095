"""Threads that share out the rows of a batch, each with cores of its own."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch


def even_parts(rows: int) -> int:
    """Return into how many equal parts to cut a batch: one for each core, or fewer where that comes out even."""
    return max(count for count in range(1, torch.get_num_threads() + 1) if rows % count == 0)


def threads(parts: int) -> ThreadPoolExecutor:
    """Return this many threads, which share the cores evenly and take denormals for zero (see models.denormals)."""
    cores = torch.get_num_threads()
    ready = Barrier(parts + 1)

    def prepare() -> None:
        torch.get_num_threads()  # else the number that is set below is set back when it is first asked for
        torch.set_num_threads(cores // parts)
        torch.set_flush_denormal(True)
        ready.wait()

    pool = ThreadPoolExecutor(parts, "part", prepare)
    for _ in range(parts):
        pool.submit(int)  # starts one
    ready.wait()
    torch.set_num_threads(cores)  # threads that begin later take the number that was set last
    return pool
