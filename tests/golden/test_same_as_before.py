"""Pictures and LoRA files of fixed seeds are bit for bit those of build a76663c.

What is compared was recorded by record.py from that build, see scenes.py for what is drawn. It goes through the command
line and the files alone, so it holds whatever modules the package is made of. A scene runs when a test asks for it.
"""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.golden import doors, scenes

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("recorded.json").read_text("utf-8"))
OWN = "own_mode"
_AT_ONCE = 2  # scenes, each with one thread

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def _differing(recorded: dict[str, str]) -> str:
    """Which of the libraries are other ones than when it was recorded."""
    here = doors.versions()
    return ", ".join(
        f"{name} {here[name]} (recorded: {its})" for name, its in recorded.items() if here[name] != its
    )


_OTHER = _differing(RECORDED["versions"])
_same_libraries = pytest.mark.skipif(bool(_OTHER), reason=f"the bits are those of other releases: {_OTHER}")


class Runs:
    """The scenes that the tests of this session ask for: all of them begin at once, two at a time."""

    def __init__(self, wanted: set[str], folder: Path) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._facts: dict[str, Future[scenes.Facts]] = {}
        for name, scene in scenes.SCENES.items():
            if name in wanted:
                (folder / name).mkdir()
                self._facts[name] = self._pool.submit(scene, folder / name)

    def facts(self, name: str) -> scenes.Facts:
        """What a scene came to; waits for it."""
        return self._facts[name].result()

    def stop(self) -> None:
        """Begin no more."""
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """The scenes that are wanted, running."""
    chosen = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = {one.params["scene"] for one in chosen if one is not None and "scene" in one.params}
    found = Runs(wanted, tmp_path_factory.mktemp("golden"))
    yield found
    found.stop()


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


def test_is_as_recorded_on_such_a_processor(tmp_path: Path) -> None:
    """With two threads and all instructions of the processor, as it runs for people."""
    recorded = RECORDED[OWN].get(doors.processor())
    if recorded is None:
        known = "; ".join(RECORDED[OWN])
        pytest.skip(
            f"nothing was recorded on a processor such as this one ({doors.processor()}), but on: {known}"
        )
    other = _differing(recorded["versions"])
    if other:
        pytest.skip(f"the bits are those of other releases: {other}")
    assert scenes.own_mode(tmp_path) == recorded["facts"]
