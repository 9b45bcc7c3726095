"""What recipes need besides the project's own LoRA: named by the recipes, and as it was found for them."""

import math
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from bootstrap.errors import UserError
from bootstrap.recipes.setting_types import Section, Tag, without_comments
from bootstrap.shots import LoraUse, PictureUse

Box = tuple[  # x, y, width, height in pixels of the original
    Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)],
    Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)],
]  # fmt: skip
LoraKey = tuple[str, int | None, int | None]  # project or file, generation, snapshot


class OtherLora(Section):
    """A LoRA besides the project's own: another project's, or a file."""

    lora: Tag  # a project's name, or the path of a .safetensors file
    strength: float = Field(0.7, ge=0.0, le=2.0)
    tags: list[Tag] = []  # what is taken from it: tags of that project's caption, or the file's words
    generation: int | None = Field(None, ge=1)  # of that project; None: the latest that is trained
    snapshot: int | None = Field(None, ge=1)  # of that project; None: the last

    @property
    def is_file(self) -> bool:
        """Whether it is a file, and no project."""
        return _is_file(self.lora)

    @property
    def key(self) -> LoraKey:
        """What it is known by among the inputs."""
        return self.lora, self.generation, self.snapshot

    @field_validator("tags")
    @classmethod
    def _words_of_a_file(cls, tags: list[str], others: ValidationInfo) -> list[str]:
        return list(map(without_comments, tags)) if _is_file(others.data.get("lora", "")) else tags


def _is_file(lora: str) -> bool:
    return lora.lower().endswith(".safetensors")


@dataclass(frozen=True)
class Needs:
    """What a recipe needs, by the names that project.toml gives it; `bootstrap.planning.inputs` finds it."""

    original: bool = False  # as a picture to start from
    areas: tuple[str | Box, ...] = ()  # masks, each a file or a box of the original
    loras: tuple[OtherLora, ...] = ()
    base_models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """Files, LoRAs and base models by the names that project.toml gives them."""

    original: PictureUse | None = None  # where a recipe starts from it
    original_size: tuple[int, int] = (0, 0)
    masks: dict[str, PictureUse] = field(default_factory=dict)
    loras: dict[LoraKey, LoraUse] = field(default_factory=dict)  # as of strength 1.0
    base_models: dict[str, str] = field(default_factory=dict)  # their hashes


NONE = Inputs()


def fitted_box(
    kind: str, box: Box, original_size: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a box in pixels of a picture of `size` that the original is fitted to.

    Args:
        kind: the recipe's, for the message.
        box: x, y, width and height in pixels of the original.
        original_size: width and height of the original in pixels.
        size: width and height of the picture in pixels.

    Raises:
        UserError: all of the box is cropped away.
    """
    x, y, width, height = box
    # As bootstrap.images.fit does it: the original covers the picture, and what sticks out is cropped on both sides.
    scale = max(size[0] / original_size[0], size[1] / original_size[1])
    left, top = (original_size[0] * scale - size[0]) / 2, (original_size[1] * scale - size[1]) / 2
    fitted = (
        max(0, math.floor(x * scale - left)),
        max(0, math.floor(y * scale - top)),
        min(size[0], math.ceil((x + width) * scale - left)),
        min(size[1], math.ceil((y + height) * scale - top)),
    )
    if fitted[0] >= fitted[2] or fitted[1] >= fitted[3]:
        raise UserError(
            f"recipe '{kind}': the box {list(box)} lies where the original is cropped away to draw at "
            f"{size[0]}x{size[1]}; move the box, or set drawing.width and height in the original's proportions"
        )
    return fitted
