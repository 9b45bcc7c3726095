"""Read a picture's tags, with Paper Town's tagger or one from a file of the user's.

tagger = open_tagger(None)                      # Paper Town's own
tagger = open_tagger(Path("wd14/model.onnx"))   # with selected_tags.csv beside it
[scores] = tagger.read([picture])
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bootstrap import reading
from bootstrap.errors import UserError
from bootstrap.papertown.tagger import PapertownTagger
from bootstrap.tag_scores import Tagger, TagScore

ONNX_THRESHOLD = 0.35  # the usual threshold of WD14 taggers
GENERAL, CHARACTER = "0", "4"  # categories of selected_tags.csv; the others are ratings


def open_tagger(path: Path | None) -> Tagger:
    """Return the tagger in the ONNX file at `path`, or Paper Town's own for None.

    Raises:
        UserError: the file is missing, is not ONNX, or has no selected_tags.csv beside it.
    """
    return PapertownTagger.bundled() if path is None else OnnxTagger(path)


class OnnxTagger:
    """A WD14-style tagger: `model.onnx` and `selected_tags.csv` in one folder.

    The model takes (n, side, side, 3) float32, BGR, 0 to 255, and returns a probability for each row of the
    table, which has the columns `name` and `category`.
    """

    def __init__(self, path: Path, threshold: float = ONNX_THRESHOLD) -> None:
        try:
            import onnxruntime  # type: ignore[import-untyped]
        except ImportError:
            raise UserError(f"tagger {path}: reading ONNX files needs `pip install onnxruntime`") from None
        table = path.parent / "selected_tags.csv"
        for file in (path, table):
            if not file.is_file():
                raise UserError(f"tagger {path}: {file} is missing; put model and selected_tags.csv together")
        self._names, self._categories = _read_table(table)
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), providers=onnxruntime.get_available_providers()
            )
        except Exception as error:  # onnxruntime's exceptions have no common base class of their own
            raise UserError(f"tagger {path}: not a usable ONNX model ({error})") from error
        self._input = self._session.get_inputs()[0]
        self._threshold = threshold
        self._side = self._input.shape[1]
        if not isinstance(self._side, int):
            raise UserError(f"tagger {path}: its input is {self._input.shape}, expected (n, side, side, 3)")
        outputs = self._session.get_outputs()[0].shape[-1]
        if outputs != len(self._names):
            raise UserError(f"tagger {path}: {outputs} outputs, but {table} names {len(self._names)} tags")

    def read(self, pictures: Sequence[Image.Image]) -> list[list[TagScore]]:
        """Return each picture's tags from the threshold up, surest first: characters, then general tags."""
        return [self._read_one(picture) for picture in pictures]

    def _read_one(self, picture: Image.Image) -> list[TagScore]:
        pixels = _squared(picture, self._side)[None, :, :, ::-1].astype(np.float32)
        [scores] = self._session.run(None, {self._input.name: pixels})[0]
        tags = []
        for category in (CHARACTER, GENERAL):
            rows = [
                i
                for i, row_category in enumerate(self._categories)
                if row_category == category and scores[i] >= self._threshold
            ]
            tags += [
                TagScore(self._names[i], float(scores[i])) for i in sorted(rows, key=lambda i: -scores[i])
            ]
        return tags


def _read_table(path: Path) -> tuple[list[str], list[str]]:
    rows = reading.csv_file(path, ("name", "category"), f"tagger table {path}")
    return [row["name"].replace("_", " ") for row in rows], [row["category"] for row in rows]


def _squared(picture: Image.Image, side: int) -> np.ndarray:
    """Return the picture centered on a white square, (side, side, 3), uint8, as WD14 taggers were trained."""
    longest = max(picture.size)
    square = Image.new("RGB", (longest, longest), "white")
    square.paste(picture, ((longest - picture.width) // 2, (longest - picture.height) // 2))
    return np.asarray(square.resize((side, side), Image.Resampling.BICUBIC))
