"""The interface of a tagger, and the type of its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image


@dataclass(frozen=True)
class TagScore:
    """A tag that a tagger sees in a picture, and its score, 0 to 1."""

    tag: str
    score: float


class Tagger(Protocol):
    """An object that reads tags from pictures."""

    def read(self, pictures: Sequence[Image.Image]) -> list[list[TagScore]]:
        """Return the tags seen in each picture (RGB, any size), in the order that a caption should have."""
        ...
