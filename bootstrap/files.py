"""Whole files: everything that `sid` writes, renames and deletes goes through this module.

A file is written inside a folder of its own beside the target, flushed to disk and renamed, so that it is whole or
absent at every moment, also after SIGKILL or a power cut. That folder's name starts with TEMPORARY_PREFIX and names
the machine; its writer holds a lock in it, which the operating system frees when the process dies. So a later process
knows what was left behind, and removes it before it first writes to the same folder.

A folder and not just a file, because some libraries write to a temporary file of their own beside the path that they
are given, and a killed process would leave that one too.
"""

import errno
import functools
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from filelock import FileLock, Timeout

from bootstrap import reading
from bootstrap.errors import UserError

TEMPORARY_PREFIX = ".sid-partial-"
# Minimum free space on the workspace's disk, in bytes; a generation of Stable Diffusion 1.5 takes about one GiB.
DISK_FLOOR = 2 * 2**30

_LOCK = ".sid-lock"
_MOVES = ".sid-moves.json"  # files that are being moved up from the temporary folder, with size and time
_NAME = re.compile(re.escape(TEMPORARY_PREFIX) + r"([0-9a-f]{8})-\w+")
# Locks of other machines cannot be relied on everywhere, so what these write must also have been still for a day.
_STILL_SECONDS = 24 * 60 * 60
# What some file systems answer to the request to flush a folder, because they need none.
_NO_FLUSHING = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}

_cleared: set[Path] = set()  # folders whose left-over files this process has removed


@contextmanager
def whole_file(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Yield a temporary path on the disk of `path`, and rename it to `path` if the block succeeds.

    The block writes the file; a missing folder of `path` is made. If the block raises, `path` stays as it was.

    Args:
        mode: the file's permissions; some libraries create files that only their owner can read.
    """
    make_folder(path.parent)
    with _partial_folder(path.parent) as partial:
        temporary = partial / path.name
        with _naming(path):
            yield temporary
            temporary.chmod(mode)
            _flush(temporary)
        temporary.replace(path)
        _flush_folder(path.parent)


@contextmanager
def whole_folder(path: Path, *, replaces: bool = False) -> Iterator[Path]:
    """Yield a new folder for the block to fill, and rename it to `path` if the block succeeds.

    Args:
        replaces: whether `path` may exist. The old folder is then moved out of the way first: killed in between, a
            process leaves neither, so this is only for what can be made again.

    Raises:
        OSError: `path` exists and is not empty, or cannot be written.
    """
    made = make_folder(path.parent)
    try:
        with _partial_folder(path.parent) as partial:
            temporary = partial / path.name
            temporary.mkdir()
            yield temporary
            _flush_tree(temporary)
            if replaces and path.exists():
                path.rename(partial / f"{path.name} before")
            temporary.rename(path)
            _flush_folder(path.parent)
    except BaseException:
        _remove_empty(made)
        raise


def fill_folder(folder: Path, contents: Mapping[str, Path | str]) -> None:
    """Write files to a new or empty folder: all of them, or none.

    A new folder appears as a whole. An existing one may be a shell's current folder, or a mount, so it stays; its
    contents appear one by one in the given order. After a kill in between, `remove_partial_files` takes them back.

    Args:
        contents: by path relative to `folder`, with `/`: a file to copy, or a text.

    Raises:
        OSError: a file cannot be read or written.
    """
    if not folder.exists():
        with whole_folder(folder) as new:
            _write_contents(new, contents)
        return
    with _partial_folder(folder) as partial:
        inside = partial / "contents"
        inside.mkdir()
        _write_contents(inside, contents)
        _flush_tree(inside)
        moves = {name: _identity(inside / name) for name in contents}
        journal = partial / _MOVES
        journal.write_text(json.dumps(moves), encoding="utf-8")
        _flush(journal)
        _flush_folder(partial)
        try:
            for name in dict.fromkeys(PurePosixPath(name).parts[0] for name in contents):
                (inside / name).rename(folder / name)
            _flush_folder(folder)
        except BaseException:
            _take_back(partial)
            raise
        journal.unlink()  # from here on the folder is finished


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let the errors of writing to an open file, which name none, name the file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def is_file(path: Path) -> bool:
    """Return whether there is a file that can be seen; unlike Path.is_file it raises nothing, whatever the path is."""
    return os.path.isfile(path)  # noqa: PTH113


def path_of(text: str | Path, what: str) -> Path:
    """Return the path that a user has written, with `~` replaced by the home folder.

    Args:
        text: the path.
        what: the option or setting that it is from, for the message.

    Raises:
        UserError: it is empty, or begins with `~` and a name that no account of this machine has.
    """
    if not str(text) or "\0" in str(text):
        raise UserError(f"{what}: the path is empty or has characters that no path has; give another one")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UserError(
            f"{what} {text}: this machine has no account of that name, so '~' means no folder; write the whole path"
        ) from None


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all."""
    with whole_file(target) as temporary:
        shutil.copyfile(source, temporary)


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all; for `mode` see whole_file."""
    with whole_file(path, mode) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_file(path: Path) -> None:
    """Delete a file, if it exists."""
    path.unlink(missing_ok=True)


def remove_folder(folder: Path) -> None:
    """Delete a folder with all that it holds; killed meanwhile, a process leaves only what the next one removes."""
    with _partial_folder(folder.parent) as partial:
        folder.rename(partial / folder.name)
        _flush_folder(folder.parent)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder on one disk; a file replaces an existing target."""
    source.replace(target)
    for folder in {source.parent, target.parent}:
        _flush_folder(folder)


def make_folder(path: Path) -> list[Path]:
    """Make a folder and its parents where they are missing, and return those that were, the innermost first."""
    if path.is_dir():
        return []
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        _flush_folder(folder.parent)
    return missing


def is_partial(path: Path) -> bool:
    """Return whether a path is, or lies in, a temporary file or folder of a process that may still be writing it."""
    return any(part.startswith(TEMPORARY_PREFIX) for part in path.parts)


def partial_files(folder: Path) -> list[Path]:
    """Return the temporary files and folders in a folder whose writers are gone; subfolders are not searched."""
    left = []
    for path in _partial_paths(folder):
        if path.is_dir():
            had_lock = (path / _LOCK).exists()
            lock = _claim(path)
            if lock is None:
                continue
            lock.release()
            if not had_lock:
                remove_file(path / _LOCK)
        left.append(path)
    return left


def remove_partial_files(folder: Path) -> int:
    """Remove from a folder what processes that are gone have left unfinished, and return how much that was.

    What a live process is writing stays. Files that `fill_folder` has moved up already are taken back, unless somebody
    has changed them since.
    """
    removed = 0
    for path in _partial_paths(folder):
        if not path.is_dir():
            path.unlink(missing_ok=True)  # earlier versions of sid left such files
        else:
            lock = _claim(path)
            if lock is None:
                continue
            try:
                _take_back(path)
            finally:
                lock.release()
            shutil.rmtree(path, ignore_errors=True)
        removed += 1
    return removed


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hex digits.

    Raises:
        UserError: it is no regular file.
    """
    with reading.opened(path, str(path)) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_text(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes, 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@contextmanager
def _partial_folder(folder: Path) -> Iterator[Path]:
    """Yield a new temporary folder in `folder`, with our lock in it; remove it and what it holds when the block ends.

    What dead processes have left in `folder` is removed first.
    """
    place = folder.absolute()
    if place not in _cleared:
        remove_partial_files(folder)
        _cleared.add(place)
    while True:
        partial = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY_PREFIX}{_machine()}-", dir=folder))
        lock = FileLock(partial / _LOCK, timeout=0)
        with suppress(Timeout, FileNotFoundError):  # another process has just taken it for a dead one's
            lock.acquire()
            break
    try:
        yield partial
    finally:
        lock.release()  # before its removal, as NFS keeps an open file under another name
        shutil.rmtree(partial, ignore_errors=True)


def _partial_paths(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob(f"{TEMPORARY_PREFIX}*")) if not path.is_symlink()]


@functools.cache
def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _claim(partial: Path) -> FileLock | None:
    """Take the lock of a temporary folder; None: its writer may be alive."""
    made_by = _NAME.fullmatch(partial.name)
    if made_by is not None and made_by[1] != _machine():
        times = [path.lstat().st_mtime for path in (partial, *partial.rglob("*")) if path.exists()]
        if time.time() - max(times, default=0) < _STILL_SECONDS:
            return None
    lock = FileLock(partial / _LOCK, timeout=0)
    try:
        lock.acquire()
    except OSError:  # Timeout is one: it is held, or gone, or in a folder that cannot be written
        return None
    return lock


def _take_back(partial: Path) -> None:
    """Delete the files that `fill_folder` has moved up from a temporary folder, and the folders that are empty then."""
    try:
        moves = reading.shaped(
            dict[str, list[int]], reading.json_file(partial / _MOVES, "journal", ""), "journal", ""
        )
    except (FileNotFoundError, UserError):  # nothing had been moved yet
        return
    folders = set()
    for name, identity in moves.items():
        path = partial.parent / name
        folders |= set(path.relative_to(partial.parent).parents) - {Path()}
        with suppress(FileNotFoundError, NotADirectoryError):
            if _identity(path) == identity:
                path.unlink()
    _remove_empty([partial.parent / inner for inner in sorted(folders, key=lambda inner: -len(inner.parts))])


def _identity(path: Path) -> list[int]:
    """Return a file's size in bytes and modification time in ns: renaming keeps them, and a change does not."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # it holds something of somebody else's
            folder.rmdir()


def _write_contents(folder: Path, contents: Mapping[str, Path | str]) -> None:
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        else:
            shutil.copyfile(content, path)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    if os.name == "nt":  # which cannot open folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FLUSHING:
            raise
    finally:
        os.close(handle)


def _flush_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir():
            _flush_folder(path)
        elif path.is_file():
            _flush(path)
    _flush_folder(folder)
