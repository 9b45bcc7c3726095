"""What every tagger gives, and what it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image


@dataclass(frozen=True)
class TagScore:
    """A tag that a tagger sees, and how sure it is, 0 to 1."""

    tag: str
    score: float


class Tagger(Protocol):
    """Whatever reads tags from pictures."""

    def read(self, pictures: Sequence[Image.Image]) -> list[list[TagScore]]:
        """The tags seen in each picture (RGB, any size), in the order in which a caption should name them."""
        ...
