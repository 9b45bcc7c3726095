"""Atomic writing: a file is whole or absent. Everything that `sid` writes goes through this module."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY_PREFIX = ".sid-partial-"
# Minimum free space on the workspace's disk, in bytes; a generation of Stable Diffusion 1.5 takes about one GiB.
DISK_FLOOR = 2 * 2**30


@contextmanager
def whole_file(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`, and rename it to `path` if the block succeeds.

    Args:
        path: the file to write.
        mode: its permissions; 0o600 for a secret, which nobody else can read at any moment.

    The temporary file is flushed to disk before it is renamed, and removed if the block raises.
    A killed process leaves at most a file whose name starts with TEMPORARY_PREFIX.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(mode)  # mkstemp creates files that only their owner can read
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all."""
    with whole_file(target) as temporary:
        shutil.copyfile(source, temporary)


def remove_partial_files(folder: Path) -> None:
    """Remove the partial files of killed processes from a folder; no other process may be writing there."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all; `mode` is that of `whole_file`."""
    with whole_file(path, mode) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_text(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes, 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
