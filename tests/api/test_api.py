"""The Python API: the examples of its page run as they are, and mistakes are refused by name."""

import re
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from bootstrap import api
from bootstrap.errors import UserError
from bootstrap.project.projects import Project

PAGE = Path(__file__).parent.parent.parent / "docs" / "python.md"


@pytest.fixture
def badge(tmp_path: Path) -> Project:
    """A project without any generation."""
    workspace = api.open_workspace(tmp_path / "workspace")
    with as_file(files("bootstrap") / "papertown" / "originals" / "badge.png") as picture:
        return api.new_project(workspace, "badge", picture, "woman, blue blazer, teal wall")


@pytest.mark.slow
def test_the_examples_of_the_page_run(tmp_path: Path) -> None:
    script = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL))
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=280
    )
    assert ran.returncode == 0, ran.stderr
    added, exported = map(int, re.findall(r"(\d+) picks added; (\d+) pictures exported", ran.stdout)[0])
    assert added > 0
    assert exported == added + 1
    assert len(list((tmp_path / "for-kohya").rglob("*.txt"))) == exported
    modules = int(re.findall(r"(\d+) modules converted", ran.stdout)[0])
    assert len(api.read_lora(tmp_path / "badge-diffusers.safetensors").modules) == modules > 0


def test_the_page_names_every_function() -> None:
    table = set(re.findall(r"^\| `(\w+)\(", PAGE.read_text("utf-8"), flags=re.MULTILINE))
    assert table == set(api.__all__)


def test_a_workspace_gives_its_projects_back(badge: Project) -> None:
    assert api.open_project(badge.workspace, "badge").settings.project.tags == [
        "woman", "blue blazer", "teal wall",
    ]  # fmt: skip
    with pytest.raises(UserError, match="not in workspace"):
        api.open_project(badge.workspace, "bagde")
    assert list(api.candidates(badge)) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda badge: api.run_station(badge, "paint"), "station 'paint': unknown, use train, draw"),
        (lambda badge: api.run_station(badge, "draw"), "not trained yet; run the station 'train' first"),
        (lambda badge: list(api.candidates(badge, verdict="maybe")), "verdict 'maybe': unknown"),
        (lambda badge: api.decide(badge, ["abc"], "undecided"), "use accept or reject"),
        (lambda badge: api.decide(badge, ["abc"], "accept"), "candidate 'abc'"),
        (lambda badge: api.grow(badge), "no generation to take picks from"),
        (lambda badge: api.export(badge, "zip", badge.folder / "out"), "unknown, use kohya or imagefolder"),
        (lambda badge: api.read_lora(badge.folder / "none.safetensors"), "none.safetensors"),
        (lambda badge: api.convert_lora("a", "b", "peft"), "unknown, use kohya, diffusers or comfyui"),
    ],
)
def test_mistakes_are_refused_by_name(badge: Project, call, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        call(badge)


def test_the_api_loads_no_torch() -> None:
    code = "import sys; from bootstrap import api; print('torch' in sys.modules, 'diffusers' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]
