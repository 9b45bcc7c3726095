"""What is not in order is told and, where it can be, put in order; what is in order is left alone."""

from pathlib import Path

import pytest
from making import bring

from bootstrap.catalog import candidates, generations, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.dataset import growth
from bootstrap.files import TEMPORARY_PREFIX
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


def found(made: Project) -> list[str]:
    return [one.what for one in doctor.examine(made.workspace)]


def repaired(made: Project) -> list[str]:
    return [one.repair() for one in doctor.examine(made.workspace) if one.repair]


def candidate_files(made: Project) -> list[Path]:
    catalog = making.open_catalog(made)
    files = [made.folder / one.path for one in candidates.candidates(catalog, made.name, state=None)]
    catalog.close()
    return files


def test_nothing_is_found_where_all_is_well(made: Project, tmp_path: Path) -> None:
    assert found(made) == []
    assert list(doctor.examine(type(made.workspace)(tmp_path / "not there yet"))) == []


def test_half_written_files_are_removed(made: Project) -> None:
    left = made.generation_folder(1) / "candidates" / f"{TEMPORARY_PREFIX}x.png"
    left.write_bytes(b"half")
    assert found(made) == ["project 'apple': 1 half-written files of a killed process"]
    assert repaired(made) == ["removed 1 half-written files"]
    assert not left.exists() and found(made) == []


def test_a_lost_picture_is_shown_no_more(made: Project) -> None:
    lost = candidate_files(made)[2]
    lost.unlink()
    (told,) = found(made)
    assert "pictures of 1 candidates are gone" in told and lost.stem in told
    repaired(made)
    catalog = making.open_catalog(made)
    assert candidates.candidate(catalog, made.name, lost.stem).state == "broken"
    assert len(candidates.candidates(catalog, made.name)) == 3
    catalog.close()
    assert found(made) == []


def test_lost_picks_and_thumbnails_are_made_again(made: Project) -> None:
    (pick,) = made.dataset_folder.glob("*.png")
    bytes_before = pick.read_bytes()
    pick.unlink()
    thumbnails = list(made.generation_folder(1).glob("thumbnails/*.webp"))
    thumbnails[0].unlink()
    assert len(found(made)) == 2
    repaired(made)
    assert pick.read_bytes() == bytes_before and thumbnails[0].is_file() and found(made) == []


def test_a_pick_that_is_lost_with_its_candidate_is_told(made: Project) -> None:
    (pick,) = made.dataset_folder.glob("*.png")
    pick.unlink()
    (made.generation_folder(1) / "candidates" / pick.name).unlink()
    what = found(made)
    assert any("the dataset needs it" in one for one in what)
    repaired(made)
    assert len(found(made)) == 1  # a person has to decide


def test_a_generation_whose_process_died_is_called_cancelled(made: Project) -> None:
    catalog = making.open_catalog(made)
    number = generations.begin(catalog, made.name)
    bring(made, catalog, number, "drawing")
    with exclusively(made):
        assert found(made) == []  # it may be running
    assert "generation 2 is said to be drawing" in found(made)[0]
    repaired(made)
    assert generations.statuses(catalog, made.name)[-1].state == "cancelled"
    catalog.close()
    assert found(made) == []


def test_a_damaged_catalog_is_told(made: Project) -> None:
    path = made.workspace.folder / "catalog.sqlite"
    path.write_bytes(b"this is no database" * 1000)
    (one,) = doctor.examine(made.workspace)
    assert "cannot be opened" in one.what and "sid reindex" in one.remedy and one.repair is None


def test_wrong_settings_are_told_and_the_rest_is_looked_at_all_the_same(made: Project) -> None:
    made.toml.write_text(made.toml.read_text().replace("repeats", "repaets", 1))
    candidate_files(made)[3].unlink()
    told = found(type(made)(made.workspace, made.name))
    assert len(told) == 2 and "repaets" in told[0]
