"""Files are whole or absent; what a process that is gone has left is removed, and nothing of anybody else's."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bootstrap import files
from bootstrap.files import TEMPORARY_PREFIX, whole_file, whole_folder

OTHER_MACHINE = f"{TEMPORARY_PREFIX}{'0' * 8}-abcdefgh"


def partial(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{TEMPORARY_PREFIX}*"))


def killed_while_writing(path: Path) -> None:
    """Leave what a process leaves that is killed while it writes a file."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException), whole_file(path) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def new_process() -> None:
    """Forget what this process has cleared already."""
    files._cleared.clear()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    files.write_text(path, "one")
    with pytest.raises(RuntimeError), whole_file(path) as temporary:
        temporary.write_text("half of tw")
        raise RuntimeError
    assert path.read_text() == "one" and path.stat().st_mode & 0o777 == 0o644
    with whole_file(path, mode=0o600) as temporary:
        temporary.write_text("two")
    assert path.read_text() == "two" and path.stat().st_mode & 0o777 == 0o600
    assert [inner.name for inner in path.parent.iterdir()] == ["a.txt"]


def test_the_next_writer_removes_what_a_dead_one_left(tmp_path: Path) -> None:
    killed_while_writing(tmp_path / "a.txt")
    assert len(partial(tmp_path)) == 1 and files.partial_files(tmp_path) == partial(tmp_path)
    new_process()
    files.write_text(tmp_path / "b.txt", "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


def test_what_a_live_process_writes_stays(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        assert files.partial_files(tmp_path) == [] and files.remove_partial_files(tmp_path) == 0
        new_process()
        files.write_text(tmp_path / "b.txt", "b")
        assert temporary.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_another_machines_files_go_after_a_day(tmp_path: Path) -> None:
    left = tmp_path / OTHER_MACHINE
    left.mkdir()
    (left / "a.txt").write_text("half")
    assert files.remove_partial_files(tmp_path) == 0 and left.exists()
    yesterday = time.time() - 25 * 60 * 60
    for path in (left / "a.txt", left):
        os.utime(path, (yesterday, yesterday))
    assert files.remove_partial_files(tmp_path) == 1 and not left.exists()


def test_what_earlier_versions_left_goes_and_what_others_own_stays(tmp_path: Path) -> None:
    (tmp_path / f"{TEMPORARY_PREFIX}a1b2c3d4.png").write_bytes(b"half")
    (tmp_path / f"{TEMPORARY_PREFIX}apple").mkdir()
    (tmp_path / f"{TEMPORARY_PREFIX}apple" / "original.png").write_bytes(b"half")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("mine")
    (tmp_path / f"{TEMPORARY_PREFIX}link").symlink_to(elsewhere)
    (tmp_path / ".tmp-of-another-program").write_text("theirs")
    assert files.remove_partial_files(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{TEMPORARY_PREFIX}link", ".tmp-of-another-program", "elsewhere",
    ]  # fmt: skip
    assert [path.name for path in elsewhere.iterdir()] == ["mine.txt"]


def test_a_library_that_writes_a_temporary_file_of_its_own_writes_it_into_ours(tmp_path: Path) -> None:
    """safetensors does: a killed process would leave it, under a name that nobody would dare to delete."""
    with whole_file(tmp_path / "a.safetensors") as temporary:
        temporary.write_bytes(b"")
        before = temporary.stat().st_ino
        save_file({"a": torch.zeros(4)}, temporary)
        assert temporary.parent.parent == tmp_path and temporary.stat().st_ino != before
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_folder_appears_as_a_whole_and_replaces_only_where_it_may(tmp_path: Path) -> None:
    folder = tmp_path / "deeper" / "model"
    with pytest.raises(RuntimeError), whole_folder(folder) as new:
        (new / "a.txt").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    for text in ("one", "two"):
        with whole_folder(folder, replaces=True) as new:
            (new / f"{text}.txt").write_text(text)
            assert not new.is_relative_to(folder)
    assert [path.name for path in folder.iterdir()] == ["two.txt"]
    with pytest.raises(OSError, match=r"model"), whole_folder(folder) as new:
        (new / "three.txt").write_text("three")
    assert [path.name for path in folder.iterdir()] == ["two.txt"] and not partial(folder.parent)


def test_a_folder_is_moved_and_removed(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a" / "deep" / "1.txt", "one")
    files.move(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b" / "deep" / "1.txt").read_text() == "one"
    files.remove_folder(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_half_an_export_is_taken_back_but_not_what_a_person_has_changed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    child = os.fork()
    if child == 0:
        rename = os.rename

        def second_fails(source: Path, target: Path) -> None:
            if Path(target).name == "b":
                os.kill(os.getpid(), signal.SIGKILL)
            rename(source, target)

        os.rename = second_fails  # type: ignore[assignment]
        with suppress(BaseException):
            files.fill_folder(folder, {"a/1.txt": "one", "a/2.txt": "two", "b/3.txt": "three"})
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert (folder / "a" / "1.txt").read_text() == "one" and not (folder / "b").exists()
    (folder / "a" / "2.txt").write_text("mine now")
    assert files.remove_partial_files(folder) == 1
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*.*")] == ["a/2.txt"]
