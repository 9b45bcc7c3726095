"""What recipes need besides the project's own LoRA: `Needs` names it, `Inputs` has what was found."""

import math
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from bootstrap import captions
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
    tags: list[Tag] = []  # what it contributes: tags of that project's caption, or the file's trigger words
    generation: int | None = Field(None, ge=1)  # of that project; None: the latest trained one
    snapshot: int | None = Field(None, ge=1)  # of that project; None: the last

    @property
    def is_file(self) -> bool:
        """Whether it is a file rather than a project."""
        return _is_file(self.lora)

    @property
    def key(self) -> LoraKey:
        """Its key in Inputs.loras."""
        return self.lora, self.generation, self.snapshot

    @field_validator("tags")
    @classmethod
    def _words_of_a_file(cls, tags: list[str], info: ValidationInfo) -> list[str]:
        if _is_file(info.data.get("lora", "")):
            return list(map(without_comments, tags))
        return list(map(captions.without_escapes, tags))


def _is_file(lora: str) -> bool:
    return lora.lower().endswith(".safetensors")


@dataclass(frozen=True)
class Needs:
    """What a recipe needs, as named in project.toml; `bootstrap.planning.inputs` finds it."""

    original: bool = False  # the original, as a picture to start from
    areas: tuple[str | Box, ...] = ()  # masks, each a file or a box of the original
    loras: tuple[OtherLora, ...] = ()
    base_models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inputs:
    """Files, LoRAs and base models, by their names in project.toml."""

    original: PictureUse | None = None  # if a recipe starts from it
    original_size: tuple[int, int] = (0, 0)
    masks: dict[str, PictureUse] = field(default_factory=dict)
    loras: dict[LoraKey, LoraUse] = field(default_factory=dict)  # at strength 1.0
    base_models: dict[str, str] = field(default_factory=dict)  # their hashes
    side_step: int = 8  # the base model draws sides that are multiples of this, in pixels


NONE = Inputs()


def fitted_box(
    kind: str, box: Box, original_size: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Convert a box of the original into left, top, right and bottom in pixels of a drawn picture.

    Args:
        kind: the recipe's kind, for the message.
        box: x, y, width and height in pixels of the original.
        original_size: width and height of the original in pixels.
        size: width and height in pixels of the picture that the original is fitted to.

    Raises:
        UserError: the whole box is cropped away.
    """
    x, y, width, height = box
    # As in bootstrap.images.fit: the original covers the picture, and the excess is cropped on both sides.
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
