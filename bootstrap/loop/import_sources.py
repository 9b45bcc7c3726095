"""The pictures that a person names for an import: files, folders (a kohya dataset's too), zip archives."""

import glob
import zipfile
from collections.abc import Iterable, Iterator, Sequence
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
    caption: str = ""  # the text file beside it, in the archive too; "": none

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
            inside = sorted(path.rglob("*"))
            beside = _captions(map(str, inside))
            sources += [
                Source(str(each), each, caption=beside.get(str(each.with_suffix("")), ""))
                for each in inside
                if _is_picture(each.relative_to(path).as_posix()) and each.is_file()
            ]
        elif path.suffix.lower() == ".zip":
            with _archive(path) as archive:
                names = sorted(archive.namelist())
            beside = _captions(names)
            sources += [
                Source(f"{path}: {name}", None, path, name, beside.get(name.rpartition(".")[0], ""))
                for name in names
                if _is_picture(name)
            ]
        elif path.is_file():
            beside = _captions(map(str, sorted(path.parent.glob(f"{glob.escape(path.stem)}.*"))))
            sources.append(Source(str(path), path, caption=beside.get(str(path.with_suffix("")), "")))
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


def _captions(names: Iterable[str]) -> dict[str, str]:
    """Return the caption files among sorted names, the first of several, by the name without its ending."""
    found: dict[str, str] = {}
    for name in names:
        stem, dot, ending = name.rpartition(".")
        if f"{dot}{ending}".lower() in CAPTION_ENDINGS:
            found.setdefault(stem, name)
    return found


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
    if not source.caption:
        return None
    if source.archive is None:
        return reading.caption_file(Path(source.caption), f"caption {source.caption}")
    with _archive(source.archive) as archive, archive.open(source.caption) as member:
        content = member.read(reading.MOST_BYTES + 1)
    where = f"caption {source.archive}: {source.caption}"
    return reading.caption_line(reading.text_of_bytes(content, where), where)
