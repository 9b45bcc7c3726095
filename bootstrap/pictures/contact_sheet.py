"""Contact sheets: many pictures in one, each with a label under it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

_GAP = 8  # pixels
_LINE = 14
_TITLE_LINE = 20
_MOST_LETTERS = 2000  # of a text; no sheet is wide enough for more
MOST_PIXELS = 128_000_000  # of a sheet; Pillow refuses to open more than 178 million
_PAPER, _INK, _FAINT = "#ffffff", "#222222", "#777777"


@dataclass(frozen=True)
class Cell:
    """A picture with the lines of text under it."""

    picture: Image.Image
    label: tuple[str, ...]


def compose(title: str, cells: Sequence[Cell], columns: int) -> Image.Image:
    """Return an RGB picture of the cells in rows of `columns`, left to right, under a title.

    Each cell is as large as the largest picture. Labels too long for a cell are cut, a long title is wrapped. The
    pictures are scaled down where the sheet would have more than MOST_PIXELS.
    """
    cells = _scaled_down(cells)
    width = max(cell.picture.width for cell in cells)
    height = max(cell.picture.height for cell in cells)
    lines = max(len(cell.label) for cell in cells)
    columns = min(columns, len(cells))
    step_x, step_y = width + _GAP, height + lines * _LINE + _GAP
    rows = -(-len(cells) // columns)
    large = ImageFont.load_default(15)
    title_lines = _wrapped(title, columns * step_x - _GAP, large)
    top = _GAP + len(title_lines) * _TITLE_LINE + 2
    sheet = Image.new("RGB", (columns * step_x + _GAP, top + rows * step_y + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for line, text in enumerate(title_lines):
        pen.text((_GAP, _GAP + line * _TITLE_LINE), text, _INK, large)
    small = ImageFont.load_default(11)
    for index, cell in enumerate(cells):
        x = _GAP + index % columns * step_x
        y = top + index // columns * step_y
        sheet.paste(cell.picture, (x + (width - cell.picture.width) // 2, y))
        for line, text in enumerate(cell.label):
            position = (x, y + height + line * _LINE)
            pen.text(position, _cut(text, width, small), _FAINT if line else _INK, small)
    return sheet


def _scaled_down(cells: Sequence[Cell]) -> Sequence[Cell]:
    """Return the cells with pictures small enough for a sheet."""
    width = max(cell.picture.width for cell in cells) + _GAP
    height = (
        max(cell.picture.height for cell in cells) + max(len(cell.label) for cell in cells) * _LINE + _GAP
    )
    scale = math.sqrt(MOST_PIXELS / (len(cells) * width * height))
    if scale >= 1:
        return cells

    def small(picture: Image.Image) -> Image.Image:
        size = max(1, int(picture.width * scale)), max(1, int(picture.height * scale))
        return picture.resize(size, Image.Resampling.LANCZOS)

    return [Cell(small(cell.picture), cell.label) for cell in cells]


def _wrapped(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    lines: list[str] = []
    for word in text[:_MOST_LETTERS].split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(_cut(word, width, font))
    return lines


def _cut(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Return the text, or as much of its beginning as fits into the width."""
    text = " ".join(text[:_MOST_LETTERS].splitlines())
    if font.getlength(text) <= width:
        return text
    fits, too_many = (
        0,
        len(text) + 1,
    )  # letters; the length grows with their number, so halving finds the most
    while fits + 1 < too_many:
        letters = (fits + too_many) // 2
        if font.getlength(text[:letters] + "…") <= width:
            fits = letters
        else:
            too_many = letters
    return text[:fits] + "…"
