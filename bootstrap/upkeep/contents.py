"""Whether the files of a project are what they were when they were written."""

import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from bootstrap import images, reading
from bootstrap.drawing import infotext
from bootstrap.errors import UserError, in_one_line
from bootstrap.files import sha256_of_file
from bootstrap.progress import Progress, Report

_AT_ONCE = 4  # Pillow unpacks pictures outside of Python's lock
_LONGEST = 160  # characters of a reason


@dataclass(frozen=True)
class Looked:
    """What looking at a picture has shown."""

    damage: str = ""  # why it cannot be decoded; empty: it can
    shot: str = ""  # the id of the shot that it says it was drawn from; empty: it says nothing


def look(paths: Iterable[Path], report: Report) -> dict[Path, Looked]:
    """Decode pictures, several at a time; return what each has shown, with progress in pictures per second."""
    pending, began, found = list(dict.fromkeys(paths)), time.monotonic(), {}
    workers = min(_AT_ONCE, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        for done, (path, looked) in enumerate(zip(pending, pool.map(_look, pending), strict=True), start=1):
            found[path] = looked
            rate = done / max(time.monotonic() - began, 1e-3)
            report(Progress("check", done, len(pending), "pictures", rate))
    return found


def _look(path: Path) -> Looked:
    if not path.is_file():
        return Looked("it is no file")
    try:
        if path.suffix == ".png":
            with images.bounded(path) as file, Image.open(file, formats=("PNG",)) as picture:
                picture.verify()  # each part's checksum, which decoding does not look at
            shot = infotext.shot_of(path)
            return Looked(shot=shot.id if shot else "")
        with images.bounded(path) as file, Image.open(file) as picture:
            picture.load()
    except UnidentifiedImageError:
        return Looked("it is no picture of its format")
    except UserError as error:
        return Looked(_short(str(error).removeprefix(f"picture {path}: ")))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return Looked(_short(str(error)))
    return Looked()


def lora_damage(path: Path, sha256: str) -> str:
    """Return why a snapshot's tensors cannot be used as they were trained; empty: they can, or nobody can tell.

    Args:
        sha256: of the file when it was written. A file of this hash is whole; another one is damaged if it cannot be
            read, or if its tensors do not have the hash that its own metadata give (kohya's `sshs_model_hash`).
    """
    if sha256_of_file(path) == sha256:
        return ""
    try:
        stated = reading.safetensors_header(path, "LoRA", "train it again").metadata.get(
            "sshs_model_hash", ""
        )
    except (UserError, OSError) as error:
        return _short(str(error).removeprefix("LoRA: ")) or "it cannot be read"
    return (
        "its tensors do not have the hash in its metadata"
        if stated and stated != _hash_of_tensors(path)
        else ""
    )


def _hash_of_tensors(path: Path) -> str:
    """Return the SHA-256 of what follows a safetensors file's header, as kohya reckons `sshs_model_hash`."""
    with path.open("rb") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        return file_digest(file, "sha256").hexdigest()


def caption_in(path: Path) -> str | None:
    """Return the caption in a text file beside a pick; None: it cannot be read."""
    try:
        return reading.caption_file(path, str(path))
    except (OSError, UserError):
        return None


def _short(text: str) -> str:
    return in_one_line(text)[:_LONGEST]
