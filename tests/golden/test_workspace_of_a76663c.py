"""A workspace that build a76663c has made is opened by this one: all is there, and the work goes on.

What a76663c told of it stands in recorded.json, see old_workspace.py and record.py.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden import doors, old_workspace
from tests.golden.doors import Sid

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded.json").read_text("utf-8"))
TOLD, GONE_ON = RECORDED["workspace"]["told"], RECORDED["workspace"]["gone_on"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What this build tells of the workspace."""
    return old_workspace.told(old_workspace.unpacked(tmp_path_factory.mktemp("old")))


@pytest.fixture
def sid(tmp_path: Path) -> Sid:
    """The command for a copy of the workspace, which may be changed."""
    return old_workspace.unpacked(tmp_path)


@pytest.mark.parametrize("what", list(TOLD))
def test_it_is_told_as_it_was(told: dict[str, Any], what: str) -> None:
    """Candidates, verdicts, picks, states of the generations, dataset, plan and advice."""
    assert told[what] == TOLD[what]


def test_verdicts_are_given_and_taken_back(sid: Sid) -> None:
    """New ones, and those that a76663c wrote."""
    before = {one["id"]: one["verdict"] for one in sid.candidates("badge")}
    waiting = [
        one["id"] for one in sid.candidates("badge", "--verdict", "undecided") if one["state"] == "published"
    ]
    rejected = [one for one, verdict in before.items() if verdict == "reject"]
    assert waiting
    assert rejected
    sid("accept", "badge", waiting[0])
    sid("reject", "badge", waiting[1])
    sid("undo", "badge", rejected[0])
    changed = {waiting[0]: "accept", waiting[1]: "reject", rejected[0]: "undecided"}
    assert {one["id"]: one["verdict"] for one in sid.candidates("badge")} == before | changed
    sid("undo", "badge", waiting[0])
    sid("undo", "badge", waiting[1])
    sid("reject", "badge", rejected[0])
    assert {one["id"]: one["verdict"] for one in sid.candidates("badge")} == before


def test_the_last_act_is_taken_back_as_a_whole(sid: Sid) -> None:
    """`sid undo` without ids: what a76663c noted as one act comes back together."""
    assert old_workspace.undone(sid) == RECORDED["workspace"]["undone"]


def test_the_work_goes_on(tmp_path: Path) -> None:
    """A candidate drawn again, the dataset grown, and a third generation: the same bits as with a76663c."""
    here = doors.versions()
    other = [f"{name} {here[name]}" for name, its in RECORDED["versions"].items() if here[name] != its]
    if other:
        pytest.skip(f"the bits are those of other releases than {', '.join(other)}")
    found = old_workspace.gone_on(old_workspace.unpacked(tmp_path))
    assert found["drawn again"] == found["as it was drawn"]
    assert found == GONE_ON
