"""Problems are reported and, where possible, repaired; what is in order stays as it is."""

import json
from pathlib import Path

import pytest
from making import bring

from bootstrap.catalog import candidates, generations, picks, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.dataset import growth, pick_files
from bootstrap.files import TEMPORARY_PREFIX, whole_file
from bootstrap.project.projects import Project
from bootstrap.project.running import exclusively
from bootstrap.upkeep import doctor
from tests import making


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
