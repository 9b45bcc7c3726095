"""A project is renamed or deleted as a whole, also if the process is killed before any of its changes to the disk."""

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import making
import pytest
import rows
from project.killing import steps

from bootstrap.catalog import candidates, verdicts
from bootstrap.catalog.states import Verdict
from bootstrap.errors import UserError
from bootstrap.project import projects, removing, renaming, running
from bootstrap.project.projects import Project, Workspace
from bootstrap.upkeep import doctor
from bootstrap.upkeep.finding import Finding

COMPOSE = '[[recipe]]\nkind = "compose"\nloras = [{ lora = "apple", strength = 0.5 }]  # both\n'


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """`apple` with two candidates, one accepted, and `pear`, a recipe of which draws with apple's LoRA."""
    apple = making.make_project(tmp_path)
    pear = making.make_project(tmp_path, "pear")
    pear.toml.write_text(pear.toml.read_text() + COMPOSE)
    with closing(apple.workspace.open_catalog()) as catalog:
        ids = making.add_published(apple, catalog, 1, 2)
        verdicts.decide(catalog, apple.name, ids[:1], Verdict.ACCEPT, "ann")
    return apple.workspace


def seen(workspace: Workspace, name: str) -> list[tuple[str, str, bool]]:
    """Return each candidate's id and verdict, and whether its picture is there."""
    with closing(workspace.open_catalog()) as catalog:
        return [
            (one.id, str(one.verdict), (Project(workspace, name).folder / one.path).is_file())
            for one in candidates.candidates(catalog, name)
        ]


def rename(workspace: Workspace, old: str, new: str) -> list[str]:
    with closing(workspace.open_catalog()) as catalog:
        return renaming.rename(workspace, old, new, catalog)


def delete(workspace: Workspace, name: str, for_good: bool = False) -> Path | None:
    with closing(workspace.open_catalog()) as catalog:
        return removing.delete(workspace.project(name), catalog, for_good)


def findings(place: Workspace) -> list[Finding]:
    """What is not in order, apart from pear's recipe: it draws with a LoRA that was never trained here."""
    return [finding for finding in doctor.examine(place) if "project 'pear': " not in finding.what]


def test_renamed_with_its_candidates_and_in_the_recipes_of_others(workspace: Workspace) -> None:
    before = seen(workspace, "apple")
    assert rename(workspace, "apple", "plum") == ["pear"]
    assert workspace.project_names() == ["pear", "plum"]
    assert seen(workspace, "plum") == before and len(before) == 2
    pear = workspace.project("pear")
    assert pear.settings.recipe[-1].loras[0].lora == "plum"
    assert pear.toml.read_text().endswith(COMPOSE.replace("apple", "plum"))
    assert not findings(workspace)
    assert seen(workspace, making.make_project(workspace.folder.parent).name) == []


def test_capitals_can_be_changed(workspace: Workspace) -> None:
    before = seen(workspace, "apple")
    rename(workspace, "apple", "Apple")
    assert seen(workspace, "Apple") == before


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ("pear", "already exists"),
        ("PEAR", "there is 'pear' already"),
        ("apple", "is its name already"),
        ("NUL", "Windows reserves it"),
        ("../apple", "project name"),
    ],
)
def test_a_name_that_it_cannot_have_is_refused(workspace: Workspace, new: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        rename(workspace, "apple", new)
    assert workspace.project_names() == ["apple", "pear"]


@pytest.mark.parametrize(
    "act", [lambda place: rename(place, "apple", "plum"), lambda place: delete(place, "apple")]
)
def test_not_while_a_run_works_on_it(workspace: Workspace, act: Callable[[Workspace], object]) -> None:
    before = seen(workspace, "apple")
    with running.exclusively(workspace.project("apple")), pytest.raises(UserError, match="running already"):
        act(workspace)
    assert seen(workspace, "apple") == before


def test_a_renaming_that_is_killed_goes_on(workspace: Workspace, tmp_path: Path) -> None:
    before, place = seen(workspace, "apple"), Workspace(tmp_path / "each")
    shutil.move(workspace.folder, tmp_path / "template")

    def prepare() -> None:
        shutil.rmtree(place.folder, ignore_errors=True)
        shutil.copytree(tmp_path / "template", place.folder)

    half_done = 0
    for _ in steps(lambda: rename(place, "apple", "plum"), prepare):
        (name,) = set(place.project_names()) - {"pear"}
        assert seen(place, name) == before
        if name == "apple":
            rename(place, "apple", "plum")
        elif renaming.former_name(place.project("plum")):
            half_done += 1
            if half_done % 2:
                rename(place, "apple", "plum")
            else:
                assert [finding.repair() for finding in findings(place) if finding.repair]
        assert seen(place, "plum") == before
        assert place.project("pear").settings.recipe[-1].loras[0].lora == "plum"
        assert not renaming.former_name(place.project("plum"))
    assert half_done >= 2


def test_deleted_and_back_from_the_trash(workspace: Workspace) -> None:
    before = seen(workspace, "apple")
    with closing(workspace.open_catalog()) as catalog:
        went = removing.contents(workspace.project("apple"), catalog)
    assert (went.candidates, went.picks, went.loras) == (2, 0, 0) and went.bytes > 1000
    folder = delete(workspace, "apple")
    assert folder == workspace.folder / "trash" / "apple" and workspace.project_names() == ["pear"]
    second = making.make_project(workspace.folder.parent)
    assert seen(workspace, "apple") == []
    assert delete(workspace, second.name) == workspace.folder / "trash" / "apple (2)"
    folder.rename(second.folder)
    assert seen(workspace, "apple") == before
    assert findings(workspace) == []


def test_what_left_the_trash_leaves_the_catalog_with_the_doctor(workspace: Workspace) -> None:
    folder = delete(workspace, "apple")
    assert folder is not None
    assert findings(workspace) == []
    shutil.rmtree(folder)
    (finding,) = findings(workspace)
    assert "1 deleted projects" in finding.what and finding.repair is not None
    finding.repair()
    with closing(workspace.open_catalog()) as catalog:
        assert rows.read(catalog, "candidate") == rows.read(catalog, "verdict") == []
    assert findings(workspace) == []


def test_a_folder_that_cannot_be_moved_stays_with_its_candidates(workspace: Workspace) -> None:
    before = seen(workspace, "apple")
    (workspace.folder / removing.FOLDER).write_text("a file is in the way")
    for for_good in (False, True):
        with pytest.raises(UserError, match="the project is as it was"):
            delete(workspace, "apple", for_good)
    assert seen(workspace, "apple") == before


def test_links_are_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    apple = workspace.project("apple")
    apple.folder.rename(tmp_path / "elsewhere")
    apple.folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link"):
        delete(workspace, "apple", for_good=True)
    folder = delete(workspace, "apple")
    assert folder is not None and folder.is_symlink() and (tmp_path / "elsewhere" / "project.toml").is_file()


@pytest.mark.parametrize("for_good", [False, True])
def test_a_deletion_that_is_killed_leaves_the_project_or_completes(
    workspace: Workspace, tmp_path: Path, for_good: bool
) -> None:
    before, place = seen(workspace, "apple"), Workspace(tmp_path / "each")
    shutil.move(workspace.folder, tmp_path / "template")

    def prepare() -> None:
        shutil.rmtree(place.folder, ignore_errors=True)
        shutil.copytree(tmp_path / "template", place.folder)

    left = set()
    for _ in steps(lambda: delete(place, "apple", for_good), prepare):
        is_there = "apple" in place.project_names()
        left.add(is_there)
        assert seen(place, "apple") == (before if is_there else [])
        for finding in findings(place):
            assert finding.repair is not None
            finding.repair()
        if is_there:
            assert seen(place, "apple") == before
            delete(place, "apple", for_good)
        assert seen(place, "apple") == [] and place.project_names() == ["pear"]
        trash = sorted(path.name for path in (place.folder / "trash").iterdir())
        assert trash == ([] if for_good else ["apple"])
        with closing(place.open_catalog()) as catalog:
            assert len(rows.read(catalog, "candidate")) == (0 if for_good else 2)
        assert findings(place) == []
    assert left == {True, False}


def test_a_new_project_that_is_killed_is_whole_or_absent(workspace: Workspace, tmp_path: Path) -> None:
    place, image = Workspace(tmp_path / "each"), tmp_path / "original-of-someone.png"
    shutil.rmtree(workspace.project("apple").folder)  # its rows are of no concern to the new one
    shutil.move(workspace.folder, tmp_path / "template")

    def prepare() -> None:
        shutil.rmtree(place.folder, ignore_errors=True)
        shutil.copytree(tmp_path / "template", place.folder)

    def make() -> Project:
        return projects.create(place, "apple", image, making.CAPTION)

    found = set()
    for step in steps(make, prepare):
        is_there = "apple" in place.project_names()
        left = [stray.path for stray in place.strays()]
        found.add((is_there, bool(left)))
        if step % 2 or is_there:
            assert [finding.repair() for finding in findings(place) if finding.repair] or not left
            assert place.strays() == []
        if not is_there:
            make()
        assert place.project("apple").settings.project.caption == making.CAPTION
        assert seen(place, "apple") == [] and findings(place) == []
    assert found == {(False, False), (False, True), (True, False), (True, True)}


def test_with_the_catalog_in_a_database_server_too(catalog_url: str, tmp_path: Path) -> None:
    place = making.make_project(tmp_path).workspace
    with closing(place.open_catalog()) as catalog:
        making.add_published(place.project("apple"), catalog, 1, 2)
    before = seen(place, "apple")
    rename(place, "apple", "plum")
    assert seen(place, "plum") == before
    folder = delete(place, "plum")
    assert folder is not None and seen(place, "plum") == []
    folder.rename(place.projects_folder / "fig")
    assert seen(place, "fig") == before
    assert delete(place, "fig", for_good=True) is None
    with closing(place.open_catalog()) as catalog:
        assert rows.read(catalog, "project") == rows.read(catalog, "candidate") == []
