"""Whatever files, arguments and requests hold: one line, no traceback, at most 10 s and 1 GiB, nothing half-done.

The suite gives a part of the inputs to `sid`, the same part in each run; `python -m tests.hostile.report` gives all.
"""

from typing import Any

import pytest

from tests.hostile import inputs, verdict
from tests.hostile.report import results

# Of the doors whose inputs take longest, every n-th; of the others all.
_EVERY = {
    "workspaces": 16, "catalogs": 6, "prompts": 8, "wildcards": 5, "caption files": 4, "embeddings": 4, "schedules": 4,
    "paths": 3, "pictures": 3, "names": 3, "captions": 3, "ids": 2, "environment": 2, "project.toml": 3, "axes": 3,
    "LoRA files": 3, "a PNG's shot": 2, "infotext": 2, "requests": 2, "numbers": 2, "checkpoints": 2,
}  # fmt: skip
DOORS = sorted({case.door for case in inputs.all_cases()})


def part() -> list[str]:
    """Return the ids of the cases that the suite runs: 500 and more, over all doors."""
    chosen: list[str] = []
    for door in DOORS:
        ids = [case.id for case in inputs.all_cases() if case.door == door]
        chosen += ids[:: _EVERY.get(door, 1)]
    return chosen


@pytest.fixture(scope="module")
def met() -> dict[str, dict[str, Any]]:
    """What became of each case."""
    return {result["id"]: result for result in results(part())}


def test_there_are_enough_of_them() -> None:
    assert len(part()) >= 500 and {one.split(": ")[0] for one in part()} == set(DOORS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("door", DOORS)
def test_each_input_is_met_as_a_user_may_expect(met: dict[str, dict[str, Any]], door: str) -> None:
    wrong = {
        name: faults
        for name, result in met.items()
        if result["id"].startswith(f"{door}: ") and (faults := verdict.faults(result))
    }
    assert wrong == {}
