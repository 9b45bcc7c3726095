"""Sheets of pictures: what a training shows of itself."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from torch import Tensor

GAP = 2


def save_grid(pictures: Tensor, columns: int, path: Path) -> None:
    """Write uint8 pictures (n, 3, h, w) as one PNG, row by row."""
    height, width = pictures.shape[2] + GAP, pictures.shape[3] + GAP
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for number, picture in enumerate(pictures):
        tile = Image.fromarray(picture.permute(1, 2, 0).cpu().numpy())
        sheet.paste(tile, (number % columns * width, number // columns * height))
    sheet.save(path)
