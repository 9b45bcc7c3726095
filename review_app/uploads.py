"""Uploaded pictures: opened from a temporary file, and never kept as they are."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from streamlit.runtime.scriptrunner import get_script_run_ctx

from bootstrap.errors import UserError

MAX_MEGABYTES = 64
TYPES = ("png", "jpg", "jpeg", "webp", "avif", "gif", "tif", "tiff", "bmp")


class Upload(Protocol):
    """An uploaded file, as Streamlit's uploader returns it."""

    name: str

    def getvalue(self) -> bytes:
        """Return the file's bytes."""
        ...


@contextmanager
def as_file(upload: Upload) -> Iterator[Path]:
    """Yield the path of a temporary file with the upload's bytes; the upload's own name appears in messages only.

    Raises:
        UserError: raised by the block, with the upload's name in place of the temporary path.
    """
    with tempfile.TemporaryDirectory(prefix="sid-upload-") as folder:
        path = Path(folder) / "upload"
        path.write_bytes(upload.getvalue())
        try:
            yield path
        except UserError as error:
            raise UserError(str(error).replace(str(path), upload.name)) from None


def forget() -> None:
    """Free the memory of this visitor's uploads, which Streamlit keeps for as long as the browser tab is open."""
    context = get_script_run_ctx()
    if context is not None:
        context.uploaded_file_mgr.remove_session_files(context.session_id)


def project_name(file_name: str) -> str:
    """Return a project name made from a picture's file name; empty if it has no usable characters."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", Path(file_name).stem).strip("-_")[:64]
