"""Threads that share the rows of a batch divide the cores, and do not affect other threads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from bootstrap.models.small_cpu.threads import even_parts, threads


@pytest.fixture(autouse=True)
def two_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("rows", "parts"), [(1, 1), (2, 2), (3, 1), (16, 2)])
def test_a_batch_is_split_evenly(rows: int, parts: int) -> None:
    assert even_parts(rows) == parts


def test_threads_divide_the_cores_and_do_not_affect_other_threads() -> None:
    torch.set_num_threads(4)
    with threads(2) as pool:
        assert list(pool.map(lambda _: torch.get_num_threads(), range(8))) == [2] * 8
        with ThreadPoolExecutor(1) as unrelated:
            assert unrelated.submit(torch.get_num_threads).result() == 4
    assert torch.get_num_threads() == 4
