"""Pictures and LoRA files of fixed seeds are bit for bit those of build a76663c, and its workspaces are opened.

What is compared was recorded by record.py from that build, see scenes.py for what is drawn. It goes through the command
line and the files alone, so it holds whatever modules the package is made of.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.golden import doors, old_workspace, scenes
from tests.golden.conftest import Runs

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded.json").read_text("utf-8"))
OLD_WORKSPACE: dict[str, Any] = RECORDED["workspace"]  # told, undone, gone_on: see old_workspace.py

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def _differing(recorded: dict[str, str]) -> str:
    """Which of the libraries are other ones than when it was recorded."""
    here = doors.versions()
    found = [f"{name} {here[name]} (recorded: {its})" for name, its in recorded.items() if here[name] != its]
    return f"the bits are those of other releases: {', '.join(found)}" if found else ""


def _why_no_own_mode() -> str:
    recorded = RECORDED["own_mode"].get(doors.processor())
    if recorded is None:
        return (
            f"nothing was recorded on this processor ({doors.processor()}): {'; '.join(RECORDED['own_mode'])}"
        )
    return _differing(recorded["versions"])


_OTHER, _NO_OWN_MODE = _differing(RECORDED["versions"]), _why_no_own_mode()
_same_libraries = pytest.mark.skipif(bool(_OTHER), reason=_OTHER)
_same_processor = pytest.mark.skipif(bool(_NO_OWN_MODE), reason=_NO_OWN_MODE)


@_same_libraries
@pytest.mark.parametrize(
    ("scene", "what"), [(name, what) for name, facts in RECORDED["scenes"].items() for what in facts]
)
def test_is_as_recorded(runs: Runs, scene: str, what: str) -> None:
    """Each fact of each scene: pictures, LoRA files, plans, advice."""
    assert runs.facts(scene)[what] == RECORDED["scenes"][scene][what]


@_same_libraries
@pytest.mark.parametrize("scene", list(scenes.SCENES))
def test_nothing_is_left_out(runs: Runs, scene: str) -> None:
    """What a scene tells was recorded, all of it, and the order in which candidates are listed too."""
    facts, recorded = runs.facts(scene), RECORDED["scenes"][scene]
    assert list(facts) == list(recorded)
    assert [list(one) for one in facts.values()] == [list(one) for one in recorded.values()]


def test_recipes_of_every_kind_and_all_samplers_were_recorded() -> None:
    """The record is of something: every recipe that `sid` knows was drawn, and every sampler, none like another."""
    facts = RECORDED["scenes"]["papertown"]
    drawn = {one["recipe"] for one in facts["badge: pictures of generation 1"].values()}
    assert drawn == {
        "vary", "eliminate", "add", "replace", "replicate", "reference", "element", "resize", "restyle", "compose",
        "hires", "inpaint", "bootstrap",
    }  # fmt: skip
    for scene, what in (
        ("single_pictures", "crown: samplers"),
        ("tiny_sdxl", "samplers"),
        ("tiny_sd15", "samplers"),
    ):
        hashes = RECORDED["scenes"][scene][what]
        assert list(hashes)[1:] == list(scenes.SAMPLERS)
        assert len(set(hashes.values())) == len(hashes)


@_same_processor
@pytest.mark.parametrize("scene", ["own_mode"])
def test_is_as_recorded_on_such_a_processor(runs: Runs, scene: str) -> None:
    """With two threads and all instructions of the processor, as it runs for people."""
    assert runs.facts(scene) == RECORDED["own_mode"][doors.processor()]["facts"]


@pytest.mark.parametrize("scene", ["old_workspace_told"])
@pytest.mark.parametrize("what", list(OLD_WORKSPACE["told"]))
def test_a_workspace_of_that_build_is_told_as_it_was(runs: Runs, scene: str, what: str) -> None:
    """Candidates, verdicts, picks, states of the generations, dataset, plan and advice."""
    assert runs.facts(scene)[what] == OLD_WORKSPACE["told"][what]


@_same_libraries
@pytest.mark.parametrize("scene", ["old_workspace_gone_on"])
def test_the_work_in_it_goes_on(runs: Runs, scene: str) -> None:
    """A candidate drawn again, the dataset grown, and a third generation: the same bits as with that build."""
    found = runs.facts(scene)
    assert found["drawn again"] == found["as it was drawn"]
    assert found == OLD_WORKSPACE["gone_on"]


def test_verdicts_in_it_are_given_and_taken_back(tmp_path: Path) -> None:
    """New ones, and those that that build wrote."""
    sid = old_workspace.unpacked(tmp_path)
    before = {one["id"]: one["verdict"] for one in sid.candidates("badge")}
    shown = [
        one["id"] for one in sid.candidates("badge", "--verdict", "undecided") if one["state"] == "published"
    ]
    rejected = [one for one, verdict in before.items() if verdict == "reject"]
    sid("accept", "badge", shown[0])
    sid("reject", "badge", shown[1])
    sid("undo", "badge", rejected[0])
    changed = {shown[0]: "accept", shown[1]: "reject", rejected[0]: "undecided"}
    assert {one["id"]: one["verdict"] for one in sid.candidates("badge")} == before | changed
    sid("undo", "badge", shown[0], shown[1])
    sid("reject", "badge", rejected[0])
    assert {one["id"]: one["verdict"] for one in sid.candidates("badge")} == before


def test_the_last_act_in_it_is_taken_back_as_a_whole(tmp_path: Path) -> None:
    """`sid undo` without ids: the verdicts that one command gave come back together."""
    assert old_workspace.undone(old_workspace.unpacked(tmp_path)) == OLD_WORKSPACE["undone"]
