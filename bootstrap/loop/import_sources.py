"""The pictures that a person names for an import: files, folders (a kohya dataset's too), zip archives."""

import glob
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bootstrap import files, reading
from bootstrap.dataset.class_pictures import CAPTION_ENDINGS
from bootstrap.errors import UserError

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff")
MOST = 100_000  # pictures of one import
_MOST_BYTES = 512 * 2**20  # of a picture in an archive


@dataclass(frozen=True)
class Source:
    """A picture that is to be imported."""

    name: str  # as the user knows it: a path, or "archive.zip: path"
    path: Path | None  # the file; None: it is in an archive
    archive: Path | None = None
    member: str = ""  # in the archive

    @property
    def file(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.member).name if self.archive else Path(self.name).name


def found(paths: Sequence[Path]) -> list[Source]:
    """Return the pictures of files, folders and archives, in the order of their names; other files are passed over.

    Raises:
        UserError: a path is missing, an archive is damaged, or there is no picture at all.
    """
    sources: list[Source] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                each for each in path.rglob("*") if _is_picture(each.relative_to(path).as_posix())
            )
            sources += [Source(str(each), each) for each in inside if each.is_file()]
        elif path.suffix.lower() == ".zip":
            sources += [Source(f"{path}: {name}", None, path, name) for name in _members(path)]
        elif path.is_file():
            sources.append(Source(str(path), path))
        else:
            raise UserError(f"import {path}: there is no such file or folder")
        if len(sources) > MOST:
            raise UserError(f"import {path}: more than {MOST:,} pictures; import a part of them at a time")
    if not sources:
        raise UserError(f"import {paths[0]}: it holds no picture ({', '.join(ENDINGS)})")
    return sources


def _is_picture(name: str) -> bool:
    parts = PurePosixPath(name)
    is_hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts.parts)
    return parts.suffix.lower() in ENDINGS and not is_hidden


def _members(path: Path) -> list[str]:
    with _archive(path) as archive:
        return sorted(entry.filename for entry in archive.infolist() if _is_picture(entry.filename))


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Yield an archive that is open for reading.

    Raises:
        UserError: it is none, is damaged or encrypted; also for what the block meets while it reads from it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError:
        raise UserError(f"import {path}: there is no such file") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise UserError(f"import {path}: the archive cannot be read ({error})") from None


@contextmanager
def opened(source: Source, folder: Path) -> Iterator[Path]:
    """Yield the picture's file; one in an archive is copied to `folder` for as long as the block lasts.

    Raises:
        UserError: it cannot be read from the archive.
    """
    if source.path is not None:
        yield source.path
        return
    assert source.archive is not None
    with _archive(source.archive) as archive:
        if archive.getinfo(source.member).file_size > _MOST_BYTES:
            raise UserError(f"picture {source.name}: it has more than {_MOST_BYTES:,} bytes")
        with archive.open(source.member) as member:
            content = member.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise UserError(f"picture {source.name}: it has more than {_MOST_BYTES:,} bytes")
    path = folder / f"import{PurePosixPath(source.member).suffix.lower()}"
    with files.whole_file(path) as temporary:
        temporary.write_bytes(content)
    try:
        yield path
    finally:
        files.remove_file(path)


def caption_of(source: Source) -> str | None:
    """Return the caption in the text file beside a picture, in any case of its ending; None if there is none.

    Raises:
        UserError: it is no text, or has several lines.
    """
    if source.path is not None:
        stem = source.path.stem
        beside = [
            path for path in source.path.parent.glob(f"{glob.escape(stem)}.*") if _is_caption(path.name, stem)
        ]
        return reading.caption_file(min(beside), f"caption {min(beside)}") if beside else None
    assert source.archive is not None
    stem = source.member.rsplit(".", 1)[0]
    with _archive(source.archive) as archive:
        names = sorted(name for name in archive.namelist() if _is_caption(name, stem))
        if not names:
            return None
        with archive.open(names[0]) as member:
            content = member.read(reading.MOST_BYTES + 1)
    where = f"caption {source.archive}: {names[0]}"
    return reading.caption_line(reading.text_of_bytes(content, where), where)


def _is_caption(name: str, stem: str) -> bool:
    return name.startswith(f"{stem}.") and name[len(stem) :].lower() in CAPTION_ENDINGS
