"""A full disk, a damaged or locked catalog: one line that says what to do, exit code 1, and nothing half-done.

The limit on a file's size makes real writes fail, for any account.
"""

import logging
import resource
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import torch
from making import add_published, make_project, open_catalog
from PIL import Image
from starlette.testclient import TestClient

from bootstrap import tensor_files
from bootstrap.catalog import Catalog, generations, picks, store
from bootstrap.cli import main
from bootstrap.drawing import infotext
from bootstrap.errors import MachineError, machine_problem
from bootstrap.loop import generation
from bootstrap.lora import kohya
from bootstrap.lora.kohya import LoraModule
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from flows.one_generation import can_pass
from review_app import routes, server
from review_app.workspace import _opened
from tests.making import shot as made_shot


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def reviewed(tmp_path: Path) -> tuple[Project, list[str]]:
    """A project with four candidates that are up for review."""
    made = make_project(tmp_path)
    with closing(open_catalog(made)) as catalog:
        ids = add_published(made, catalog, 1, 4)
    return made, ids


@pytest.fixture
def sid(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run the command line in this process: sid(project, "status") -> (exit code, what it wrote as errors)."""

    def run(made: Project, *arguments: str | Path) -> tuple[int, str]:
        command = ["sid", "--workspace", made.workspace.folder, *arguments]
        monkeypatch.setattr(sys, "argv", list(map(str, command)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


def a_lora(path: Path) -> Path:
    name = "lora_unet_mid_block_attentions_0_proj_in"
    values = torch.randn(64, 256, generator=torch.Generator().manual_seed(1))
    kohya.write(path, {name: LoraModule(values, values.T, 64.0)}, {})
    return path


def test_a_full_disk_while_a_file_is_written(
    reviewed: tuple[Project, list[str]], sid: Callable, tmp_path: Path
) -> None:
    """Tensors, a picture, a LoRA file, a project: named in a line, and the file that was there stays whole."""
    made, _ = reviewed
    target, source = tmp_path / "file.safetensors", a_lora(tmp_path / "whole.safetensors")
    tensor_files.write(target, {"a": torch.zeros(2)})
    noise = Image.effect_noise((128, 128), 80).convert("RGB")
    before, kept = target.read_bytes(), files_in(tmp_path)
    writers: dict[str, Callable[[], None]] = {
        "file.safetensors": lambda: tensor_files.write(target, {"a": torch.zeros(10_000)}),
        "a.png": lambda: infotext.save_png(noise, tmp_path / "a.png", made_shot(1), ""),
    }
    for name, write in writers.items():
        with largest_file(4096), pytest.raises(OSError, match="too large") as raised:
            write()
        told = machine_problem(raised.value)
        assert told is not None and told.startswith(
            f"{tmp_path / name}: reading or writing it failed (File too large)"
        )
    verbs = [
        ("lora", "resize", source, tmp_path / "out.safetensors", "--rank", "32"),
        ("lora", "convert", source, tmp_path / "out.safetensors", "--to", "diffusers"),
        ("new", "pear", "--image", tmp_path / "original-of-someone.png", "--caption", "woman, pear"),
    ]
    for verb in verbs:
        with largest_file(4096):
            code, told = sid(made, *verb)
        assert (code, told.count("\n")) == (1, 1), told
        assert "File too large" in told or "disk I/O error" in told, told  # the catalog is a file, too
    logs = {made.workspace.folder / f"catalog.sqlite-{kind}" for kind in ("shm", "wal")}  # SQLite's own
    assert target.read_bytes() == before and files_in(tmp_path) - logs == kept - logs
    assert [sid(made, *verb)[0] for verb in verbs] == [0, 0, 0]


def test_a_disk_that_fills_up_under_the_catalog(reviewed: tuple[Project, list[str]], sid: Callable) -> None:
    made, ids = reviewed
    with largest_file(1024):
        code, told = sid(made, "accept", made.name, ids[0])
    assert (code, told.count("\n")) == (1, 1) and told.startswith("sid: catalog"), told
    assert sid(made, "accept", made.name, ids[0])[0] == 0
    with closing(open_catalog(made)) as catalog:
        assert [status.accepted for status in generations.statuses(catalog, made.name)] == [1]


def damage(made: Project) -> None:
    """Overwrite the first page of every table and index of the catalog but the one with its version."""
    path = made.workspace.folder / "catalog.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        (size,) = connection.execute("pragma page_size").fetchone()
        pages = connection.execute(
            "select rootpage from sqlite_master where tbl_name <> 'alembic_version'"
        ).fetchall()
    with path.open("rb+") as file:
        for (number,) in pages:
            file.seek((number - 1) * size)
            file.write(b"\xa5" * size)


def test_damaged_pages_of_the_catalog(
    reviewed: tuple[Project, list[str]], sid: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every verb that reads it, a page of the app, and the app's routes."""
    made, ids = reviewed
    damage(made)
    for verb in (
        ("status",), ("candidates", made.name), ("accept", made.name, ids[0]), ("grow", made.name),
        ("plan", made.name), ("undo", made.name), ("run", made.name),
    ):  # fmt: skip
        code, told = sid(made, *verb)
        assert (code, told.count("\n")) == (1, 1), (verb, told)
        assert "catalog: its file is damaged; move it away" in told and "sid reindex" in told
    monkeypatch.setenv("SID_WORKSPACE", str(made.workspace.folder))
    _opened.cache_clear()
    with TestClient(server.app(), base_url="http://localhost", raise_server_exceptions=False) as client:
        answer = client.get(routes.cells_url(made))
    assert answer.status_code == 503 and answer.text.startswith("catalog: its file is damaged")


def test_a_catalog_that_is_locked_for_longer_than_one_waits(
    reviewed: tuple[Project, list[str]], sid: Callable, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """A verb tells it in a line; a run tries again; and what ended a run is told, though it cannot be recorded."""
    made, ids = reviewed
    monkeypatch.setattr(store, "_BUSY_SECONDS", 0.1)
    with closing(Catalog(made.workspace.catalog_url)) as catalog:
        with closing(sqlite3.connect(made.workspace.folder / "catalog.sqlite")) as other:
            other.execute("begin immediate")
            code, told = sid(made, "accept", made.name, ids[0])
            assert (code, told.count("\n")) == (1, 1)
            assert "catalog: another process has been writing to it for too long" in told
            with pytest.raises(store.Unavailable) as locked:
                generations.begin(catalog, made.name)
            assert can_pass(locked.value)
            unopened = MachineError("catalog: cannot be opened")
            unopened.__cause__ = locked.value
            assert can_pass(unopened)
            with (
                caplog.at_level(logging.WARNING),
                pytest.raises(OSError, match="No space left"),
                generation.ending_recorded(Generation(made, catalog, 1)),
            ):
                raise OSError(28, "No space left on device")
            assert "the end of the run could not be recorded: catalog: another process" in caplog.text
        assert picks.picks(catalog, made.name) == []
    assert sid(made, "accept", made.name, ids[0])[0] == 0
