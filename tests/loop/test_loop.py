"""The loop, end to end: one picture in, generation 2 trained on reviewed picks."""

import io
import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from bootstrap.catalog import Catalog, generations, trainings
from bootstrap.drawing import infotext
from bootstrap.files import sha256_of_file
from bootstrap.lora import kohya
from tests.sid_command import candidates, in_this_process, sid, small_project

pytestmark = pytest.mark.slow


def test_two_generations_with_scripted_verdicts(tmp_path: Path, originals: Path) -> None:
    workspace = tmp_path / "workspace"
    project = small_project(workspace, originals)
    caption_tags = project.settings.project.tags

    # Generation 1: files, rows and pictures belong together.
    output = sid(workspace, "run", "badge")
    assert " up  (" in output
    first = candidates(workspace, "badge")
    everything = candidates(workspace, "badge", "--all")
    assert len(everything) == 10
    assert 0 < len(first) <= 10
    files = {path.stem for path in (project.folder / "generation-01" / "candidates").iterdir()}
    assert files == {candidate["id"] for candidate in everything}
    for candidate in first:
        shot = infotext.shot_of(Path(candidate["path"]))
        assert shot is not None
        assert shot.id == candidate["id"]
        with Image.open(candidate["path"]) as picture:
            assert picture.size == (128, 128)
            parameters = infotext.read(picture.info["parameters"])
        assert parameters.fields["Seed"] == str(shot.seed)
        assert f"<lora:badge-g01-{shot.snapshot:06d}:{shot.strength:g}>" in parameters.prompt

    # The snapshots are LoRA files in kohya's format that say what they were trained on.
    catalog = Catalog(project.workspace.catalog_url)
    training = trainings.of_generation(catalog, "badge", 1)
    assert training is not None
    assert training.finished
    assert [snapshot.epoch for snapshot in training.snapshots] == [1, 2, 3, 4]
    for snapshot in training.snapshots:
        path = project.folder / snapshot.path
        assert sha256_of_file(path) == snapshot.sha256
        metadata = kohya.read(path).metadata
        assert metadata["ss_epoch"] == str(snapshot.epoch)
        assert json.loads(metadata["ss_tag_frequency"])["6_badge"]["id badge"] == 1
    assert not (project.folder / training.snapshots[0].path).with_name("state.safetensors").exists()

    # Review: one eliminated, one added accepted; one rejected; one verdict taken back.
    without_apple = next(
        candidate for candidate in first if "holding red apple" in candidate["shot"]["eliminated"]
    )
    with_glasses = next(candidate for candidate in first if candidate["shot"]["added"])
    others = [candidate["id"] for candidate in first if candidate not in (without_apple, with_glasses)]
    sid(workspace, "accept", "badge", without_apple["id"], with_glasses["id"], others[0])
    sid(workspace, "reject", "badge", others[1])
    sid(workspace, "undo", "badge", others[0])

    # Growth: the picks, captioned with the tags of their prompts.
    sid(workspace, "grow", "badge")
    picks = {path.stem: path.read_text().strip() for path in project.dataset_folder.glob("*.txt")}
    assert set(picks) == {without_apple["id"], with_glasses["id"]}
    assert picks[without_apple["id"]].split(", ") == [
        tag for tag in caption_tags if tag != "holding red apple"
    ]
    assert picks[with_glasses["id"]].split(", ") == [caption_tags[0], "round glasses", *caption_tags[1:]]

    # Generation 2 trains on the original and the picks, and really sees them.
    sid(workspace, "run", "badge")
    second = trainings.of_generation(catalog, "badge", 2)
    assert second is not None
    assert second.finished
    seen = {entry["picture"]: entry for entry in second.dataset}
    for pick in (without_apple, with_glasses):
        entry = seen[sha256_of_file(project.dataset_folder / f"{pick['id']}.png")]
        assert entry["caption"] == picks[pick["id"]]
        assert entry["repeats"] >= 1
        assert entry["seen"] >= 4  # at least once in each epoch
    assert sum(entry["seen"] for entry in second.dataset) == second.steps
    tags = json.loads(kohya.read(project.folder / second.snapshots[-1].path).metadata["ss_tag_frequency"])
    assert sum(folder.get("round glasses", 0) for folder in tags.values()) == 1
    assert sum(folder.get("holding red apple", 0) for folder in tags.values()) == 2

    statuses = generations.statuses(catalog, "badge")
    assert [(status.number, status.state) for status in statuses] == [(1, "grown"), (2, "published")]
    assert statuses[1].published > 0
    assert not files & {candidate["id"] for candidate in candidates(workspace, "badge", "--generation", "2")}

    # The dataset is exported in a format that other trainers read.
    sid(workspace, "export", "badge", "--format", "kohya", str(tmp_path / "kohya"))
    exported = list((tmp_path / "kohya").rglob("*.txt"))
    assert len(exported) == 3
    assert all(path.with_suffix(".png").is_file() for path in exported)


def test_a_second_run_draws_nothing_again(
    tmp_path: Path, originals: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = tmp_path / "workspace"
    project = small_project(workspace, originals)
    sid(workspace, "run", "badge")
    before = {
        path: path.stat().st_mtime_ns for path in project.folder.rglob("*.png") if path.name != "sheet.png"
    }
    ids = [candidate["id"] for candidate in candidates(workspace, "badge")]
    (state,) = [path / "state.safetensors" for path in project.folder.glob("generation-01/training-*")]
    state.write_bytes(b"of a process that was killed after its last step")
    sid(workspace, "run", "badge")
    assert not state.exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [candidate["id"] for candidate in candidates(workspace, "badge")] == ids

    again = sid(workspace, "run", "badge")
    assert (
        "nothing is missing: all that the settings ask for is trained and drawn; more of the same with `"
        in again
    )
    assert "contact sheet" not in again

    # A change says before it is saved what it makes stale, and what that costs.
    run = in_this_process(monkeypatch, capsys)
    here = ("--workspace", str(workspace))
    _, said, _ = run(*here, "set", "badge", "training.epochs=5")
    trained, drawn, saved = said.splitlines()
    assert trained.startswith("generation 1 is trained again (epochs 4 -> 5): 30 steps, about ")
    assert drawn.startswith("the next run draws 10 of its 10 shots, about ")
    assert drawn.endswith("; the 10 candidates of before stay, with their verdicts")
    assert saved == "training.epochs = 5"
    _, plan, _ = run(*here, "plan", "badge")
    assert (
        "training: 30 of 30 steps to do (5 epochs of 6), about " in plan
        and "because of: epochs 4 -> 5" in plan
    )

    _, said, _ = run(*here, "set", "badge", "training.epochs=4")
    assert said.splitlines() == ["training.epochs = 4"]  # nothing is stale any more

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"n\n")))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    text = project.toml.read_text()
    _, refused, _ = run(*here, "set", "badge", "drawing.steps=9")
    assert "draws 10 of its 10 shots" in refused and refused.endswith("nothing is changed\n")
    assert project.toml.read_text() == text
    _, said, _ = run(*here, "set", "badge", "drawing.steps=9", "--yes")
    assert said.splitlines()[-1] == "drawing.steps = 9"
