"""Sheets of pictures that show how far a training has come."""

from __future__ import annotations

import textwrap
from pathlib import Path

from PIL import Image, ImageDraw
from torch import Tensor

from bootstrap.files import whole_file

GAP = 2
CAPTION_WIDTH, CAPTION_LETTERS, CAPTION_COLUMNS = 170, 27, 4


def save_grid(pictures: Tensor, columns: int, path: Path) -> None:
    """Write uint8 pictures (n, 3, h, w) as one PNG, row by row, `columns` in a row."""
    height, width = pictures.shape[2] + GAP, pictures.shape[3] + GAP
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for number, picture in enumerate(pictures):
        sheet.paste(_tile(picture), (number % columns * width, number // columns * height))
    with whole_file(path) as temporary:
        sheet.save(temporary)


def save_captioned(pictures: Tensor, captions: list[str], path: Path) -> None:
    """Write uint8 pictures (n, 3, h, w) as one PNG, each with its caption to its right."""
    height, width = pictures.shape[2] + 4 * GAP, pictures.shape[3] + CAPTION_WIDTH
    rows = -(-len(pictures) // CAPTION_COLUMNS)
    sheet = Image.new("RGB", (CAPTION_COLUMNS * width, rows * height), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = number % CAPTION_COLUMNS * width, number // CAPTION_COLUMNS * height
        sheet.paste(_tile(picture), (x, y))
        lines = "\n".join(textwrap.wrap(caption, CAPTION_LETTERS))
        pen.multiline_text((x + pictures.shape[3] + 4 * GAP, y), lines, fill="black", font_size=11)
    with whole_file(path) as temporary:
        sheet.save(temporary)


def _tile(picture: Tensor) -> Image.Image:
    return Image.fromarray(picture.permute(1, 2, 0).cpu().numpy())
