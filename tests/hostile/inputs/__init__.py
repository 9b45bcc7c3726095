"""The hostile inputs, door by door; the same ones in each run."""

from collections.abc import Iterator

from tests.hostile.case import Case
from tests.hostile.inputs import (
    arguments,
    catalogs,
    metadata,
    pictures,
    prompts,
    requests,
    settings,
    shots,
    tensors,
    workspaces,
)


def all_cases() -> list[Case]:
    """Return all cases; each has an id of its own."""
    cases = list(_all())
    ids = [case.id for case in cases]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    assert not twice, twice
    return cases


def _all() -> Iterator[Case]:
    for door in (
        arguments,
        settings,
        pictures,
        metadata,
        shots,
        prompts,
        tensors,
        catalogs,
        requests,
        workspaces,
    ):
        yield from door.cases()
