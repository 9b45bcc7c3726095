"""Memory that tensors have freed is kept for later tensors."""

import platform
import resource

import pytest
import torch

from bootstrap.training import freed_memory

_PAGES = 64 * 2**20 // resource.getpagesize()

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="no GNU C library")


def _pages_fetched(number: int) -> int:
    """Return how many pages the system provides for a new tensor of `number` pages."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(number, resource.getpagesize(), dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_what_was_freed_is_not_fetched_from_the_system_again() -> None:
    with freed_memory.kept():
        _pages_fetched(2 * _PAGES)
        assert _pages_fetched(_PAGES) < _PAGES / 10


def test_it_is_returned_to_the_system_afterwards() -> None:
    with freed_memory.kept():
        _pages_fetched(2 * _PAGES)
    for _ in range(2):
        assert _pages_fetched(_PAGES) > _PAGES * 0.9
