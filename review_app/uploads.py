"""Pictures that come from the browser: looked at in a file of their own, and never kept as they came."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from bootstrap.errors import UserError

MAX_MEGABYTES = 64
TYPES = ("png", "jpg", "jpeg", "webp", "avif", "gif", "tif", "tiff", "bmp")


class Upload(Protocol):
    """What Streamlit gives for an uploaded file."""

    name: str

    def getvalue(self) -> bytes:
        """The bytes."""
        ...


@contextmanager
def as_file(upload: Upload) -> Iterator[Path]:
    """Yield a file with the upload's bytes, gone when the block ends; its own name is in messages only.

    Raises:
        UserError: what the block raises, with the name that the file had for its owner.
    """
    with tempfile.TemporaryDirectory(prefix="sid-upload-") as folder:
        path = Path(folder) / "upload"
        path.write_bytes(upload.getvalue())
        try:
            yield path
        except UserError as error:
            raise UserError(str(error).replace(str(path), upload.name)) from None


def project_name(file_name: str) -> str:
    """Return a project's name for a picture's file name; empty when nothing of it can be one."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", Path(file_name).stem).strip("-_")[:64]
