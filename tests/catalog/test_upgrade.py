"""Catalogs of earlier versions: upgraded whole or not at all, with a copy first, and the newer ones left alone."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from making import shot

from bootstrap.catalog import Catalog, candidates, generations, picks, sheets, trainings, verdicts
from bootstrap.catalog.upgrade import COPIES
from bootstrap.errors import UserError
from bootstrap.files import TEMPORARY_PREFIX
from tests.catalog import old_catalogs

OLD = old_catalogs.versions()[:-1]
NEWEST = old_catalogs.versions()[-1]


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'catalog.sqlite'}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A catalog of each version."""
    return old_catalogs.make_all(tmp_path_factory.mktemp("versions"))


def put(made: dict[str, Path], version: str, folder: Path) -> None:
    """Put a catalog of a version into a folder, as the workspace's own."""
    shutil.copy(made[version], folder / "catalog.sqlite")


def copies(folder: Path) -> list[Path]:
    return sorted(folder.glob("catalog-*.sqlite"))


def upgraded(line: str) -> bool:
    return "upgraded from version" in line


@pytest.mark.parametrize("version", OLD)
def test_each_earlier_version_is_upgraded_with_all_its_rows(
    made: dict[str, Path], tmp_path: Path, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(made, version, tmp_path)
    before = old_catalogs.content(url_of(tmp_path))
    with caplog.at_level(logging.WARNING):
        catalog = Catalog(url_of(tmp_path))
    first, second = shot(1), shot(2)
    found = candidates.candidates(catalog, "apple")
    assert [(one.id, one.shot, one.verdict, one.reviewer) for one in found] == [
        (first.id, first, "accept", "ann"),
        (second.id, second, "reject", "ann"),
    ]
    assert [(pick.candidate_id, pick.caption) for pick in picks.picks(catalog, "apple")] == [
        (first.id, "woman, hat")
    ]
    assert [status.state for status in generations.statuses(catalog, "apple")] == ["grown"]
    training = trainings.of_generation(catalog, "apple", 1)
    assert training is not None and [(one.epoch, one.loss) for one in training.snapshots] == [(1, 0.2)]
    assert [entry.verdict for entry in verdicts.history(catalog, "apple")] == ["accept", "reject"]
    assert len(sheets.of_project(catalog, "apple")) == (version >= "0011")  # which has the first sheets
    catalog.close()

    [copy] = copies(tmp_path)
    assert old_catalogs.content(f"sqlite:///{copy}") == before
    assert copy.name.startswith(f"catalog-{version}-")
    [line] = [record.message for record in caplog.records if upgraded(record.message)]
    assert f"upgraded from version {version} to {NEWEST}; a copy of the old one is {copy}" in line
    after = old_catalogs.content(url_of(tmp_path))
    assert {name: len(rows) for name, rows in after.items()}.items() >= {
        name: len(rows) for name, rows in before.items()
    }.items()


def test_a_new_catalog_and_one_of_this_version_are_not_copied(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        Catalog(url_of(tmp_path)).close()
    assert copies(tmp_path) == [] and not [record for record in caplog.records if upgraded(record.message)]


def test_an_upgrade_of_postgresql_is_told_with_what_follows(
    postgres, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres.new_database()
    Catalog(url).close()
    engine, settings = sa.create_engine(url), old_catalogs.config()
    with engine.begin() as connection:
        from alembic import command

        settings.attributes["connection"] = connection
        command.downgrade(settings, "0008")
    engine.dispose()
    with caplog.at_level(logging.WARNING):
        Catalog(url).close()
    [line] = [record.message for record in caplog.records if upgraded(record.message)]
    assert f"from version 0008 to {NEWEST}; sid on the other machines must be updated too" in line


class Opening:
    """A process that opens the catalog in forks, which it kills where it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []

    def run(self, *where: str) -> list[list[int]]:
        """Return the exit codes of the forks, and keep what was logged."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.catalog.upgrade_process", url_of(self.folder)],
            input="\n".join(where) + "\n", capture_output=True, text=True, timeout=200, cwd=Path(__file__).parents[2],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(__file__).parents[up]) for up in (2, 1))},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        self.lines = [line for line in done.stderr.splitlines() if upgraded(line)]
        return [[int(code) for code in line.split()] for line in done.stdout.splitlines()]


def test_an_upgrade_that_is_killed_anywhere_starts_over(made: dict[str, Path], tmp_path: Path) -> None:
    put(made, "0001", tmp_path)
    before = old_catalogs.content(url_of(tmp_path))
    opening = Opening(tmp_path)
    points = ["copy", *(f"statement {number}" for number in (2, 9, 16, 23, 30, 37, 44, 51))]
    assert opening.run(*points) == [[-9]] * len(points)
    assert opening.lines == []
    assert old_catalogs.content(url_of(tmp_path)) == before
    [copy] = copies(tmp_path)
    assert opening.run("no") == [[0]] and len(opening.lines) == 1
    assert old_catalogs.content(url_of(tmp_path))["alembic_version"] == [(NEWEST,)]
    assert old_catalogs.content(f"sqlite:///{copy}") == before and copies(tmp_path) == [copy]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(TEMPORARY_PREFIX)] == []


def test_processes_that_open_it_at_once_upgrade_it_once(made: dict[str, Path], tmp_path: Path) -> None:
    put(made, "0004", tmp_path)
    opening = Opening(tmp_path)
    assert opening.run("together 4") == [[0, 0, 0, 0]]
    assert len(opening.lines) == 1 and len(copies(tmp_path)) == 1


def test_an_upgrade_that_fails_leaves_the_catalog_and_tells_of_its_copy(
    made: dict[str, Path], tmp_path: Path
) -> None:
    put(made, "0009", tmp_path)
    engine = sa.create_engine(url_of(tmp_path))
    with engine.begin() as connection:  # as a hand that added it would have
        connection.exec_driver_sql("alter table candidate add column image_hash text")
    engine.dispose()
    before = old_catalogs.content(url_of(tmp_path))
    with pytest.raises(
        UserError, match=f"could not be upgraded from version 0009 to {NEWEST} and is unchanged"
    ) as told:
        Catalog(url_of(tmp_path))
    [copy] = copies(tmp_path)
    assert str(copy) in str(told.value) and "\n" not in str(told.value)
    assert old_catalogs.content(url_of(tmp_path)) == before


def test_an_upgrade_without_room_for_its_copy_is_refused(made: dict[str, Path], tmp_path: Path) -> None:
    put(made, "0009", tmp_path)
    before = old_catalogs.content(url_of(tmp_path))
    os.truncate(tmp_path / "catalog.sqlite", 2**42)  # with a hole: it takes no room, a copy would
    with pytest.raises(
        UserError, match=r"\(0009\), and its copy and the upgrade need 8388\d+ MiB of disk, of which"
    ):
        Catalog(url_of(tmp_path))
    assert copies(tmp_path) == [] and old_catalogs.content(url_of(tmp_path)) == before


def test_the_newest_copies_are_kept(made: dict[str, Path], tmp_path: Path) -> None:
    put(made, "0010", tmp_path)
    earlier = [tmp_path / f"catalog-000{number}-2026010{number}.sqlite" for number in range(1, 6)]
    other = tmp_path / "catalog-of-mine.sqlite"
    for age, path in enumerate([other, *earlier]):
        path.write_bytes(b"old")
        os.utime(path, (age, age))
    Catalog(url_of(tmp_path)).close()
    kept = [path for path in copies(tmp_path) if path != other]
    assert len(kept) == COPIES and kept[:-1] == earlier[-COPIES + 1 :] and other.exists()


def test_a_newer_catalog_is_refused_untouched(tmp_path: Path) -> None:
    Catalog(url_of(tmp_path)).close()
    engine = sa.create_engine(url_of(tmp_path))
    with engine.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    engine.dispose()
    before = (tmp_path / "catalog.sqlite").read_bytes()
    with pytest.raises(UserError, match="another version of sid made it; update this one"):
        Catalog(url_of(tmp_path))
    assert (tmp_path / "catalog.sqlite").read_bytes() == before and copies(tmp_path) == []
