"""Problems are reported and, where possible, repaired; what is in order stays as it is."""

import json
import os
import shutil
from pathlib import Path

import pytest
import rows
import sqlalchemy as sa
from making import bring
from PIL import Image
from typer.testing import CliRunner

from bootstrap.catalog import candidates, generations, picks, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.cli import main
from bootstrap.dataset import growth, pick_files
from bootstrap.files import TEMPORARY_PREFIX, whole_file
from bootstrap.project.projects import Project, Workspace
from bootstrap.project.running import exclusively
from bootstrap.upkeep import doctor
from tests import making
from tests.golden import old_workspace


@pytest.fixture
def made(tmp_path: Path) -> Project:
    """A project with a grown generation of four candidates, the first of them picked."""
    project = making.make_project(tmp_path)
    catalog = making.open_catalog(project)
    ids = making.add_published(project, catalog, 1, 4)
    verdicts.decide(catalog, project.name, ids[:1], Verdict.ACCEPT, "ann")
    growth.grow(project, catalog)
    catalog.close()
    return project


def problems(made: Project) -> list[str]:
    return [finding.what for finding in doctor.examine(made.workspace)]


def repaired(made: Project) -> list[str]:
    return [finding.repair() for finding in doctor.examine(made.workspace) if finding.repair]


def candidate_files(made: Project) -> list[Path]:
    catalog = making.open_catalog(made)
    files = [
        made.folder / candidate.path for candidate in candidates.candidates(catalog, made.name, state=None)
    ]
    catalog.close()
    return files


def test_nothing_is_found_where_all_is_well(made: Project, tmp_path: Path) -> None:
    assert problems(made) == []
    assert list(doctor.examine(type(made.workspace)(tmp_path / "not there yet"))) == []


def test_half_written_files_are_removed(made: Project) -> None:
    left = made.generation_folder(1) / "candidates" / f"{TEMPORARY_PREFIX}x.png"
    left.write_bytes(b"half")
    assert problems(made) == ["project 'apple': 1 half-written files of a killed process"]
    assert repaired(made) == ["removed 1 half-written files"]
    assert not left.exists() and problems(made) == []


def test_what_a_live_process_writes_is_no_finding(made: Project) -> None:
    with whole_file(made.workspace.folder / "reports" / "night.md") as temporary:
        temporary.write_text("half")
        assert problems(made) == [] and repaired(made) == [] and temporary.exists()


def test_half_written_files_outside_the_projects_are_removed(made: Project) -> None:
    left = [
        made.workspace.projects_folder / f"{TEMPORARY_PREFIX}pear" / "original.png",
        made.workspace.folder / "reports" / f"{TEMPORARY_PREFIX}x.md",
    ]
    for path in left:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half")
    assert problems(made) == [f"workspace {made.workspace.folder}: 2 half-written files of a killed process"]
    assert repaired(made) == ["removed 2 half-written files"]
    assert not any(path.exists() for path in left) and problems(made) == []


def test_captions_of_an_interrupted_change_follow_the_catalog(made: Project) -> None:
    (pick,) = made.dataset_folder.glob("*.png")
    catalog = making.open_catalog(made)
    before = pick.with_suffix(".txt").read_text()
    with pytest.raises(KeyboardInterrupt), pick_files.changing(made, catalog, [pick.stem]):
        picks.set_captions(catalog, made.name, {pick.stem: "woman, green hat"})
        raise KeyboardInterrupt
    assert pick.with_suffix(".txt").read_text() == "woman, green hat\n" != before
    journal = made.dataset_folder / ".sid-changing.json"
    journal.write_text(json.dumps([pick.stem, "../../original"]))  # as a killed process leaves it
    picks.set_captions(catalog, made.name, {pick.stem: "woman, blue hat"})
    assert problems(made) == ["project 'apple': a process was killed while it changed the dataset"]
    repaired(made)
    assert pick.with_suffix(".txt").read_text() == "woman, blue hat\n"
    assert made.original.exists() and problems(made) == []
    catalog.close()


def test_a_reindex_that_was_stopped_is_found_and_finished(made: Project) -> None:
    catalog = making.open_catalog(made)
    generations.restore(catalog, made.name, [1, 2])
    assert problems(made) == ["project 'apple': `sid reindex` was stopped before it had finished"]
    repaired(made)
    assert problems(made) == [] and generations.being_restored(catalog, made.name) == []
    catalog.close()


def test_a_lost_picture_is_shown_no_more(made: Project) -> None:
    lost = candidate_files(made)[2]
    lost.unlink()
    (problem,) = problems(made)
    assert "pictures of 1 candidates are missing" in problem and lost.stem in problem
    repaired(made)
    catalog = making.open_catalog(made)
    assert candidates.candidate(catalog, made.name, lost.stem).state == "broken"
    assert len(candidates.candidates(catalog, made.name)) == 3
    catalog.close()
    assert problems(made) == []


def test_lost_picks_and_thumbnails_are_made_again(made: Project) -> None:
    (pick,) = made.dataset_folder.glob("*.png")
    bytes_before = pick.read_bytes()
    pick.unlink()
    thumbnails = list(made.generation_folder(1).glob("thumbnails/*.webp"))
    thumbnails[0].unlink()
    assert len(problems(made)) == 2
    repaired(made)
    assert pick.read_bytes() == bytes_before and thumbnails[0].is_file() and problems(made) == []


def test_a_pick_that_is_lost_with_its_candidate_is_told(made: Project) -> None:
    (pick,) = made.dataset_folder.glob("*.png")
    pick.unlink()
    (made.generation_folder(1) / "candidates" / pick.name).unlink()
    reported = problems(made)
    assert any("the dataset needs it" in problem for problem in reported)
    repaired(made)
    assert len(problems(made)) == 1  # a person has to decide


def test_a_generation_whose_process_died_is_called_cancelled(made: Project) -> None:
    catalog = making.open_catalog(made)
    number = generations.begin(catalog, made.name)
    bring(made, catalog, number, "drawing")
    with exclusively(made):
        assert problems(made) == []  # it may be running
    assert "generation 2 is recorded as drawing" in problems(made)[0]
    repaired(made)
    assert generations.statuses(catalog, made.name)[-1].state == "cancelled"
    catalog.close()
    assert problems(made) == []


def test_a_damaged_catalog_is_told(made: Project) -> None:
    path = made.workspace.folder / "catalog.sqlite"
    path.write_bytes(b"this is no database" * 1000)
    (finding,) = doctor.examine(made.workspace)
    assert "cannot be opened" in finding.what and "sid reindex" in finding.remedy and finding.repair is None


def test_wrong_settings_are_told_and_the_rest_is_looked_at_all_the_same(made: Project) -> None:
    made.toml.write_text(made.toml.read_text().replace("repeats", "repaets", 1))
    candidate_files(made)[3].unlink()
    reported = problems(type(made)(made.workspace, made.name))
    assert len(reported) == 2 and "repaets" in reported[0]


# ---- what files hold


@pytest.fixture
def trained(tmp_path: Path) -> Project:
    """A project with two generations, their LoRA files, picks with captions, thumbnails and a sheet."""
    shutil.unpack_archive(old_workspace.ARCHIVE, tmp_path / "workspace")
    return Workspace(tmp_path / "workspace").project("badge")


CANDIDATE = "generation-01/candidates/64d335f46941fecd.png"
PICK = "dataset/8e13f4718fef4bfd.png"
ITS_CANDIDATE = "generation-01/candidates/8e13f4718fef4bfd.png"
LORA = "generation-02/training-8bf97a1f/badge-g02-000001.safetensors"


def flip(path: Path, place: int) -> None:
    """Turn one bit of a file over, counted from its start, or from its end if below 0."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def found(project: Project) -> list[doctor.Finding]:
    return list(doctor.examine(project.workspace))


def test_files_as_they_were_written_are_in_order(trained: Project) -> None:
    assert found(trained) == []


@pytest.mark.parametrize("harm", ["cut", "flip", "header"])
def test_a_damaged_lora_is_told_and_set_aside(trained: Project, harm: str) -> None:
    path = trained.folder / LORA
    if harm == "cut":
        os.truncate(path, path.stat().st_size // 2)
    else:
        flip(path, -200 if harm == "flip" else 20)
    before = path.read_bytes()
    (finding,) = found(trained)
    assert f"the LoRA {LORA} of generation 2 is damaged" in finding.what and finding.repair is not None
    assert "set it aside" in finding.repair()
    assert path.with_name(f"{path.name}.damaged").read_bytes() == before
    (finding,) = found(trained)
    assert f"the LoRA {LORA} of generation 2 is missing" in finding.what and finding.repair is None
    assert "`sid run badge` trains" in finding.remedy


def test_a_lora_of_another_training_in_its_place_is_told(trained: Project) -> None:
    shutil.copy(trained.folder / LORA.replace("000001", "000002"), trained.folder / LORA)
    (finding,) = found(trained)
    assert "is not the file that was trained" in finding.what and finding.repair is None


@pytest.mark.parametrize("harm", ["cut", "flip", "no picture", "a folder"])
def test_a_damaged_candidate_is_shown_no_more(trained: Project, harm: str) -> None:
    path = trained.folder / CANDIDATE
    if harm == "cut":
        os.truncate(path, path.stat().st_size - 300)
    elif harm == "flip":
        flip(path, -400)
    else:
        path.unlink()
        path.mkdir() if harm == "a folder" else path.write_bytes(b"no picture")
    (finding,) = found(trained)
    assert CANDIDATE in finding.what and ("damaged" in finding.what or harm == "a folder")
    assert finding.repair is not None and "marked 1 candidates" in finding.repair()
    assert found(trained) == []


def test_a_candidate_and_its_pick_come_back_from_each_other(trained: Project) -> None:
    candidate, pick = trained.folder / ITS_CANDIDATE, trained.folder / PICK
    before = candidate.read_bytes()
    for lost, harm in ((candidate, "cut"), (pick, "flip"), (pick, "gone"), (candidate, "gone")):
        if harm == "cut":
            os.truncate(lost, 200)
        elif harm == "flip":
            flip(lost, -400)
        else:
            lost.unlink()
        (finding,) = found(trained)
        assert finding.repair is not None and "copied" in finding.repair()
        assert lost.read_bytes() == before and found(trained) == []


def test_another_candidates_picture_in_its_place_is_told(trained: Project) -> None:
    shutil.copy(
        trained.folder / CANDIDATE.replace("64d335f46941fecd", "9552739c8298a42a"), trained.folder / CANDIDATE
    )
    (finding,) = found(trained)
    assert f"{CANDIDATE} is another candidate's picture" in finding.what and finding.repair is None


def test_an_exchanged_original_is_told(trained: Project) -> None:
    with Image.open(trained.original) as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(trained.original)
    (finding,) = found(trained)
    assert "original.png is not the picture that generation 2 was trained on" in finding.what


def test_a_dataset_that_was_changed_by_hand_is_told_and_kept(trained: Project) -> None:
    pick = trained.folder / PICK
    with Image.open(pick) as picture:
        picture.load()
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(pick)
    caption = pick.with_suffix(".txt")
    caption.write_text("woman, a hat of my own\n")
    (trained.dataset_folder / "mine.png").write_bytes(pick.read_bytes())
    told = [finding.what for finding in found(trained)]
    assert len(told) == 3 and not any(finding.repair for finding in found(trained))
    assert "dataset/mine.png is in the dataset's folder, but no pick" in told[0]
    assert f"the pick {PICK} is not its candidate's picture any more" in told[1]
    assert "dataset/8e13f4718fef4bfd.txt does not say what the catalog says" in told[2]


def test_a_caption_file_that_is_gone_is_written_again(trained: Project) -> None:
    caption = (trained.folder / PICK).with_suffix(".txt")
    before = caption.read_text()
    caption.unlink()
    (finding,) = found(trained)
    assert finding.repair is not None and finding.repair() == f"wrote {caption.name}"
    assert caption.read_text() == before and found(trained) == []


def test_a_damaged_thumbnail_is_made_again_and_a_lost_sheet_forgotten(trained: Project) -> None:
    thumbnail = trained.generation_folder(1) / "thumbnails/64d335f46941fecd.webp"
    os.truncate(thumbnail, 60)
    (sheet,) = trained.generation_folder(1).glob("sheets/*.png")
    sheet.unlink()
    told = found(trained)
    assert [
        "1 thumbnails are missing or damaged" in told[0].what,
        f"sheets/{sheet.name} is missing" in told[1].what,
    ] == [True] * 2
    for finding in told:
        assert finding.repair is not None
        finding.repair()
    assert found(trained) == []


def test_a_lora_that_the_catalog_does_not_know_is_put_into_it(trained: Project) -> None:
    catalog = making.open_catalog(trained)
    rows.remove(catalog, "snapshot")
    catalog.close()
    (finding,) = found(trained)
    assert (
        "the catalog does not know the LoRA generation-01/training-88d4b549/badge-g01-000001" in finding.what
    )
    assert finding.repair is not None and "4 snapshots" in finding.repair()
    assert found(trained) == []


def test_a_path_that_leads_out_of_the_project_is_told_and_not_followed(trained: Project) -> None:
    catalog = making.open_catalog(trained)
    rows.change(catalog, "candidate", ["64d335f46941fecd"], path="../../../outside.png")
    catalog.close()
    told = [finding.what for finding in found(trained)]
    assert len(told) == 1 and "files outside of the project's folder: ../../../outside.png" in told[0]


def test_rows_that_cannot_be_read_are_told_and_the_other_projects_are_looked_at(trained: Project) -> None:
    catalog = making.open_catalog(trained)
    with catalog.write() as session:
        session.execute(sa.text("update candidate set shot = '[5]'"))
    catalog.close()
    (trained.workspace.project("untouched").original).write_bytes(b"no picture")
    told = [finding.what for finding in found(trained)]
    assert (
        len(told) == 2 and told[0].startswith("project 'badge'") and told[1].startswith("project 'untouched'")
    )


def test_a_damaged_page_of_the_catalog_is_told(trained: Project) -> None:
    path = trained.workspace.folder / "catalog.sqlite"
    with path.open("r+b") as file:
        file.seek(4096 * 8)
        file.write(b"\xde\xad" * 2048)
    (finding,) = found(trained)
    assert "catalog" in finding.what and "sid reindex" in finding.remedy


def test_files_that_settings_name_and_that_are_gone_are_told(trained: Project) -> None:
    toml = trained.toml.read_text()
    trained.toml.write_text(
        toml
        + """
[[recipe]]
kind = "inpaint"
snapshot = 2
mask = "gone.png"
count = 1
[[recipe.rounds]]
prompt = "hat"
"""
    )
    (finding,) = found(trained)
    assert "there is no mask" in finding.what and "gone.png" in finding.what


def test_the_command_tells_each_in_a_line_and_ends_with_what_is_left(
    trained: Project,
) -> None:
    runner, verb = CliRunner(), ["--workspace", str(trained.workspace.folder), "doctor"]
    clean = runner.invoke(main.app, verb)
    assert clean.exit_code == 0 and clean.stdout.splitlines()[-1] == "everything is in order"
    flip(trained.folder / CANDIDATE, -400)
    (trained.folder / LORA).unlink()
    told = runner.invoke(main.app, verb)
    assert told.exit_code == 1 and told.stdout.splitlines()[-1].startswith("2 things are not in order")
    [line] = [line for line in told.stdout.splitlines() if CANDIDATE in line]
    assert line.startswith("project 'badge': ") and "; to do: mark them as broken" in line
    mended = runner.invoke(main.app, [*verb, "--repair"])
    assert mended.exit_code == 1 and "done: marked 1 candidates" in mended.stdout
    assert mended.stdout.splitlines()[-1] == "1 things are not in order"
