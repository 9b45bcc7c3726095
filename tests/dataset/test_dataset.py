"""The dataset grows by picks, and leaves the house in other tools' formats."""

import json
import os

import pytest
import rows
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from making import CAPTION, add_drawn, add_published, bring, scene, shot

from bootstrap.catalog import generations, picks, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.dataset import entries, exporting, growth
from bootstrap.dataset.growth import Growth
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.project import running


def accept(catalog, project, *ids):
    verdicts.decide(catalog, project.name, list(ids), Verdict.ACCEPT, "tester")


def test_a_new_project_has_the_original_alone(project, catalog):
    (entry,) = entries.of_project(project, catalog)
    assert entry.path == project.original and entry.path.is_absolute()
    assert entry.caption == CAPTION and entry.is_original
    assert entry.picture_sha256 == sha256_of_file(project.original)
    entries.check(project, catalog, project.settings)


def test_picks_come_with_the_tags_of_their_prompt(project, catalog):
    shots = [
        shot(1, "woman, blue blazer, window", recipe="eliminate", eliminated=("red apple",)),
        shot(2, "woman, (red apple:1.2), blue blazer, window, sunglasses, <lora:apple:0.6>", recipe="add"),
        shot(3),
    ]
    gone, added, _ = add_published(project, catalog, 1, 3, shots)
    accept(catalog, project, gone, added)
    assert growth.grow(project, catalog) == Growth(added=2, removed=0, size=3)

    original, first, second = entries.of_project(project, catalog)
    assert original.is_original and not first.is_original and not second.is_original
    assert first.caption == "woman, blue blazer, window"
    assert second.caption == "woman, red apple, blue blazer, window, sunglasses"
    for entry, candidate in ((first, gone), (second, added)):
        assert entry.path == project.dataset_folder / f"{candidate}.png"
        assert (
            entry.path.read_bytes()
            == (project.folder / f"generation-01/candidates/{candidate}.png").read_bytes()
        )
        assert entry.path.with_suffix(".txt").read_text("utf-8") == entry.caption + "\n"
    assert {path.name for path in project.dataset_folder.iterdir()} == {
        f"{candidate_id}.{ending}" for candidate_id in (gone, added) for ending in ("png", "txt")
    }


def test_growth_ends_the_generation_and_the_next_run_begins_the_next(project, catalog):
    ids = add_published(project, catalog, 1, 2)
    accept(catalog, project, ids[0])
    assert generations.begin(catalog, project.name) == 1
    growth.grow(project, catalog)
    assert generations.statuses(catalog, project.name)[0].state == "grown"
    assert generations.begin(catalog, project.name) == 2


def test_a_verdict_taken_back_removes_the_pick_with_the_next_growth(project, catalog):
    ids = add_published(project, catalog, 1, 3)
    accept(catalog, project, *ids[:2])
    growth.grow(project, catalog)
    verdicts.undo(catalog, project.name, ids[0])
    accept(catalog, project, ids[2])
    assert growth.grow(project, catalog) == Growth(added=1, removed=1, size=3)
    assert [entry.path.stem for entry in entries.of_project(project, catalog)] == ["original", ids[1], ids[2]]
    assert {path.stem for path in project.dataset_folder.iterdir()} == {ids[1], ids[2]}

    verdicts.decide(catalog, project.name, ids[1:], Verdict.REJECT, "tester")
    assert growth.grow(project, catalog) == Growth(added=0, removed=2, size=1)
    assert list(project.dataset_folder.iterdir()) == []


def test_picks_of_all_generations_count(project, catalog):
    first = add_published(project, catalog, 1, 2)
    accept(catalog, project, first[0])
    growth.grow(project, catalog)
    second = add_published(project, catalog, 2, 2)
    accept(catalog, project, second[1], first[1])
    assert growth.grow(project, catalog) == Growth(added=2, removed=0, size=4)
    # In order of growth: what was there stays first, so that a dataset only ever gets longer at its end.
    assert [pick.candidate_id for pick in picks.picks(catalog, project.name)] == [
        first[0],
        first[1],
        second[1],
    ]


def test_growth_needs_news(project, catalog):
    with pytest.raises(UserError, match="there is no generation"):
        growth.grow(project, catalog)
    ids = add_published(project, catalog, 1, 2)
    with pytest.raises(UserError, match="no new picks; accept candidates first"):
        growth.grow(project, catalog)
    accept(catalog, project, ids[0])
    growth.grow(project, catalog)
    with pytest.raises(UserError, match="no new picks"):
        growth.grow(project, catalog)


@pytest.mark.parametrize("state", ["waiting", "training", "drawing", "curating", "failed", "cancelled"])
def test_growth_waits_for_an_unfinished_generation(project, catalog, state):
    first = add_published(project, catalog, 1, 2)
    accept(catalog, project, first[0])
    growth.grow(project, catalog)
    accept(catalog, project, first[1])
    bring(project, catalog, generations.begin(catalog, project.name), state)
    with pytest.raises(UserError, match=f"generation 2 is not finished \\({state}\\)"):
        growth.grow(project, catalog)
    assert len(entries.of_project(project, catalog)) == 2


def test_growth_refuses_while_a_generation_runs(project, catalog):
    accept(catalog, project, add_published(project, catalog, 1, 1)[0])
    with FileLock(project.lock_file), pytest.raises(UserError, match="running already"):
        growth.grow(project, catalog)
    assert not project.dataset_folder.exists()
    assert not running.is_running(project)


def test_a_damaged_candidate_stops_growth_before_anything_changes(project, catalog):
    ids = add_published(project, catalog, 1, 2)
    accept(catalog, project, *ids)
    (project.folder / f"generation-01/candidates/{ids[1]}.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(UserError, match=ids[1]):
        growth.grow(project, catalog)
    assert not project.dataset_folder.exists()
    assert picks.picks(catalog, project.name) == []
    assert generations.statuses(catalog, project.name)[0].state == "published"


def test_growth_killed_between_files_and_catalog_is_made_good_by_the_next(project, catalog, monkeypatch):
    ids = add_published(project, catalog, 1, 2)
    accept(catalog, project, *ids)

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(growth.picks, "apply", die)
        with pytest.raises(Killed):
            growth.grow(project, catalog)
    assert len(entries.of_project(project, catalog)) == 1  # the files are there, but are no picks yet
    verdicts.undo(catalog, project.name, ids[0])
    assert growth.grow(project, catalog) == Growth(added=1, removed=0, size=2)
    assert {path.stem for path in project.dataset_folder.iterdir()} == {ids[1]}


def test_files_that_are_not_ours_stay_in_the_dataset_folder(project, catalog):
    project.dataset_folder.mkdir()
    note = project.dataset_folder / "note.txt"
    note.write_text("mine")
    accept(catalog, project, add_published(project, catalog, 1, 1)[0])
    growth.grow(project, catalog)
    assert note.read_text() == "mine"


def test_check_names_the_picture_that_cannot_be_read(project, catalog):
    ids = add_published(project, catalog, 1, 1)
    accept(catalog, project, *ids)
    growth.grow(project, catalog)
    pick = project.dataset_folder / f"{ids[0]}.png"
    whole = pick.read_bytes()
    pick.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=rf"{ids[0]}\.png: the file is damaged"):
        entries.check(project, catalog, project.settings)
    pick.unlink()
    with pytest.raises(UserError, match=f"a pick is missing.*{ids[0]}"):
        entries.check(project, catalog, project.settings)


@given(pick_count=st.integers(0, 500), repeats=st.integers(1, 1000))
def test_balance_keeps_the_steps_sensible(pick_count, repeats):
    original, each = entries.balance(pick_count, repeats)
    total = original + pick_count * each
    assert original >= 1
    if pick_count == 0:
        assert (original, each) == (repeats, 0)
        return
    assert original >= each >= 1
    assert original >= repeats // 2  # half of what the original alone would get
    if pick_count <= repeats / 2:
        assert 0.6 * repeats <= total <= 1.5 * repeats
    if pick_count >= max(repeats, 3):
        assert each == 1 and original <= repeats / 2 + 1


@pytest.mark.parametrize(
    ("pick_count", "balanced"),
    [
        (0, (20, 0)),
        (1, (10, 10)),
        (2, (10, 5)),
        (3, (10, 3)),
        (4, (10, 3)),
        (8, (10, 1)),
        (15, (10, 1)),
        (100, (10, 1)),
    ],
)
def test_balance_is_what_its_table_says(pick_count, balanced):
    assert entries.balance(pick_count, 20) == balanced


@pytest.fixture
def grown(project, catalog):
    """A dataset of the original and four picks."""
    ids = add_published(project, catalog, 1, 4)
    accept(catalog, project, *ids)
    growth.grow(project, catalog)
    return ids


def test_export_to_kohya(project, catalog, grown, tmp_path):
    folder = tmp_path / "out" / "kohya"
    assert exporting.export(project, catalog, "kohya", folder) == 5
    of_original, of_pick = entries.balance(4, project.settings.training.repeats)
    assert of_original != of_pick
    first, rest = folder / f"{of_original}_apple", folder / f"{of_pick}_apple"
    assert {path.name for path in folder.iterdir()} == {first.name, rest.name}
    assert {path.name for path in first.iterdir()} == {"original.png", "original.txt"}
    assert {path.name for path in rest.iterdir()} == {
        f"{candidate_id}.{end}" for candidate_id in grown for end in ("png", "txt")
    }
    for entry in entries.of_project(project, catalog):
        home = first if entry.is_original else rest
        assert (home / entry.path.name).read_bytes() == entry.path.read_bytes()
        assert (home / f"{entry.path.stem}.txt").read_text("utf-8").splitlines() == [entry.caption]


def test_export_to_imagefolder(project, catalog, grown, tmp_path):
    folder = tmp_path / "imagefolder"
    folder.mkdir()  # an empty one will do
    assert exporting.export(project, catalog, "imagefolder", folder) == 5
    lines = (folder / "train" / "metadata.jsonl").read_text("utf-8").splitlines()
    dataset = entries.of_project(project, catalog)
    assert [json.loads(line) for line in lines] == [
        {"file_name": entry.path.name, "text": entry.caption} for entry in dataset
    ]
    assert {path.name for path in (folder / "train").iterdir()} == {
        "metadata.jsonl", *(entry.path.name for entry in dataset),
    }  # fmt: skip
    assert {path.name for path in folder.iterdir()} == {"train"}


def test_export_refuses_a_full_folder_a_file_and_an_unknown_format(project, catalog, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        exporting.export(project, catalog, "kohya", full)
    with pytest.raises(UserError, match="it is a file"):
        exporting.export(project, catalog, "kohya", full / "mine.txt")
    with pytest.raises(UserError, match="kohya or imagefolder"):
        exporting.export(project, catalog, "coco", tmp_path / "new")
    assert [path.name for path in full.iterdir()] == ["mine.txt"] and not (tmp_path / "new").exists()


@pytest.mark.parametrize("is_new", [True, False])
def test_export_is_all_or_nothing(project, catalog, grown, tmp_path, monkeypatch, is_new):
    folder = tmp_path / "out" / "deeper" if is_new else tmp_path / "out"
    if not is_new:
        folder.mkdir()
    copied = []
    copyfile = exporting.files.shutil.copyfile

    def full_disk(source, target):
        if len(copied) == 3:
            raise OSError(28, "No space left on device")
        copied.append(target)
        return copyfile(source, target)

    monkeypatch.setattr(exporting.files.shutil, "copyfile", full_disk)
    with pytest.raises(UserError, match="No space left"):
        exporting.export(project, catalog, "kohya", folder)
    assert copied and folder.exists() != is_new
    assert is_new or list(folder.iterdir()) == []


def test_an_export_again_stays_and_another_ones_folder_is_refused_by_name(project, catalog, grown, tmp_path):
    folder = tmp_path / "out"
    assert exporting.export(project, catalog, "kohya", folder) == 5
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert exporting.export(project, catalog, "kohya", folder) == 5
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times
    (caption,) = folder.glob("*/original.txt")
    text = caption.read_text()
    caption.write_text("mine")
    with pytest.raises(UserError, match=r"not empty \(its .*original.txt is another one\)"):
        exporting.export(project, catalog, "kohya", folder)
    caption.unlink()
    with pytest.raises(UserError, match=r"not empty \(of this export it lacks .*original.txt\)"):
        exporting.export(project, catalog, "kohya", folder)
    caption.write_text(text)
    (folder / "notes.md").write_text("mine")
    with pytest.raises(UserError, match=r"not empty \(it holds notes.md\)"):
        exporting.export(project, catalog, "kohya", folder)
    assert set(folder.rglob("*")) == {*times, folder / "notes.md"}


def test_a_drawn_candidate_is_no_pick_whatever_its_row_says(project, catalog):
    """Only what was published can be accepted."""
    (drawn,) = add_drawn(project, catalog, 1, [scene(5)])
    with pytest.raises(UserError, match="not published"):
        accept(catalog, project, drawn)


@pytest.mark.parametrize(
    "path", ["../../../secret.png", "ABSOLUTE", "link/secret.png", "link.png", "fifo.png"]
)
def test_no_path_of_the_catalog_leads_out_of_the_project(project, catalog, tmp_path, path):
    """A catalog may come from someone else: grow and export copied whatever file it named."""
    secret = tmp_path / "secret.png"
    scene(7).save(secret)
    (project.folder / "link").symlink_to(tmp_path)
    (project.folder / "link.png").symlink_to(secret)
    os.mkfifo(project.folder / "fifo.png")
    one, other = add_published(project, catalog, 1, 2)
    accept(catalog, project, one)
    growth.grow(project, catalog)
    accept(catalog, project, other)
    rows.change(catalog, "candidate", [other], path=str(secret) if path == "ABSOLUTE" else path)
    before = {file.name: file.read_bytes() for file in project.dataset_folder.iterdir()}
    with pytest.raises(UserError, match=f"candidate '{other}'"):
        growth.grow(project, catalog)
    assert {file.name: file.read_bytes() for file in project.dataset_folder.iterdir()} == before

    rows.change(catalog, "pick", path=str(secret) if path == "ABSOLUTE" else path)
    for leaves in (
        lambda: exporting.export(project, catalog, "kohya", tmp_path / "out"),
        lambda: entries.of_project(project, catalog),
    ):
        with pytest.raises(UserError, match=f"pick '{one}'"):
            leaves()
    growth.recaption(project, catalog, {one: "other"})  # which names its files itself
    assert not (tmp_path / "out").exists() and not secret.with_suffix(".txt").exists()
