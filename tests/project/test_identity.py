"""The catalog's rows belong to the folder that they were made for, whatever its name is, and to no other."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import making
import pytest
import rows

from bootstrap.catalog import candidates, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.project import identity
from bootstrap.project.projects import Project, Workspace


@pytest.fixture
def apple(tmp_path: Path) -> tuple[Project, dict[str, str]]:
    """A project with two candidates, one accepted; and what `seen` returns of it."""
    return reviewed(tmp_path)


def reviewed(folder: Path) -> tuple[Project, dict[str, str]]:
    project = making.make_project(folder)
    with closing(project.workspace.open_catalog()) as catalog:
        ids = making.add_published(project, catalog, 1, 2)
        verdicts.decide(catalog, project.name, ids[:1], Verdict.ACCEPT, "ann")
    return project, {ids[0]: "accept", ids[1]: "undecided"}


def seen(project: Project) -> dict[str, str]:
    """Return the verdict of each candidate."""
    with closing(project.workspace.open_catalog()) as catalog:
        return {one.id: str(one.verdict) for one in candidates.candidates(catalog, project.name)}


def test_a_removed_projects_name_does_not_bring_its_candidates(
    apple: tuple[Project, dict[str, str]], tmp_path: Path
) -> None:
    project, verdicts_of = apple
    shutil.rmtree(project.folder)
    assert seen(making.make_project(tmp_path)) == {}
    assert seen(making.make_project(tmp_path, "pear")) == {}
    assert verdicts_of  # nobody else's


def test_what_was_moved_away_and_comes_back_has_its_own_candidates(catalog_url: str, tmp_path: Path) -> None:
    project, before = reviewed(tmp_path)
    project.folder.rename(tmp_path / "away")
    second = making.make_project(tmp_path)
    assert seen(second) == {}
    second.folder.rename(tmp_path / "second")
    (tmp_path / "away").rename(project.folder)
    assert seen(project) == before
    project.folder.rename(tmp_path / "away")
    (tmp_path / "second").rename(second.folder)
    assert seen(second) == {}


def test_a_folder_renamed_by_hand_keeps_its_candidates(apple: tuple[Project, dict[str, str]]) -> None:
    project, before = apple
    pear = Project(project.workspace, "pear")
    project.folder.rename(pear.folder)
    assert seen(pear) == before
    assert seen(making.make_project(project.workspace.folder.parent)) == {}


def test_two_folders_that_exchange_their_names_keep_their_candidates(
    apple: tuple[Project, dict[str, str]], tmp_path: Path
) -> None:
    project, before = apple
    pear = making.make_project(tmp_path, "pear")
    project.folder.rename(tmp_path / "away")
    pear.folder.rename(project.folder)
    (tmp_path / "away").rename(pear.folder)
    assert (seen(project), seen(pear)) == ({}, before)


def test_a_copy_is_a_project_of_its_own(apple: tuple[Project, dict[str, str]]) -> None:
    project, before = apple
    copy = Project(project.workspace, "a copy")
    shutil.copytree(project.folder, copy.folder)
    assert (seen(copy), seen(project)) == ({}, before)
    assert identity.read(copy.folder) != identity.read(project.folder)
    shutil.rmtree(project.folder)
    assert seen(copy) == {}


@pytest.fixture
def old(apple: tuple[Project, dict[str, str]]) -> Iterator[tuple[Project, dict[str, str]]]:
    """The project as an earlier version of sid left it: identified by its name."""
    project, before = apple
    (project.folder / identity.FILE).unlink()
    with closing(making.open_catalog(project)) as catalog:
        rows.change(catalog, "project", identity=None)
    yield project, before


def test_a_project_of_an_earlier_version_keeps_its_candidates(old: tuple[Project, dict[str, str]]) -> None:
    project, before = old
    assert seen(project) == before
    assert identity.ensured(project.folder)
    assert seen(project) == before


def test_nobody_inherits_from_a_project_of_an_earlier_version(
    old: tuple[Project, dict[str, str]], tmp_path: Path
) -> None:
    project, before = old
    project.folder.rename(tmp_path / "away")
    second = making.make_project(tmp_path)
    assert seen(second) == {}
    shutil.rmtree(second.folder)
    (tmp_path / "away").rename(project.folder)
    assert seen(project) == before


def test_a_catalog_that_is_lost_is_no_trouble(tmp_path: Path) -> None:
    project = making.make_project(tmp_path)
    with closing(making.open_catalog(project)) as catalog:  # opened without a look at the folders
        ids = making.add_published(project, catalog, 1, 2)
    assert list(seen(project)) == ids
    assert list(seen(Workspace(project.workspace.folder).project("apple"))) == ids
