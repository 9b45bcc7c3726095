"""Whatever files, arguments and requests hold: one line, no traceback, at most 10 s and 1 GiB, nothing half-done.

The suite gives a part of the inputs to `sid`, the same part in each run; `python -m tests.hostile.report` gives all.
"""

from typing import Any

import pytest

from tests.hostile import inputs, verdict
from tests.hostile.report import results

# Doors whose inputs take little time: all of them. Of the others, every n-th.
_EVERY = {
    "workspaces": 4, "catalogs": 3, "prompts": 4, "pictures": 3, "LoRA files": 3, "names": 3, "project.toml": 3,
    "requests": 2, "paths": 2, "a PNG's shot": 2, "infotext": 3, "model folders": 2, "captions": 2, "numbers": 2,
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
