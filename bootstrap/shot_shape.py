"""The shape of a shot that comes from outside: types, ranges and lengths of its JSON in a PNG or in the catalog.

The ranges are the widest that settings, recipes and `sid redraw` can make. Nothing is converted: a shot's id is a hash
of its parameters as they are written.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bootstrap import reading
from bootstrap.shot_limits import (
    LEAST_CFG_SCALE,
    MOST_CFG_SCALE,
    MOST_CLIP_SKIP,
    MOST_MASK_BLUR,
    MOST_MASK_PADDING,
    MOST_NAMED_STRENGTH,
    MOST_NETWORKS,
    MOST_PIXELS,
    MOST_STEPS,
)

_REMEDY = "it is damaged, or another release of sid wrote it"

_Prompt = Annotated[str, Field(max_length=100_000)]
_Name = Annotated[str, Field(max_length=1000)]
_Hash = Annotated[str, Field(max_length=64)]
_Strength = Annotated[float, Field(ge=-MOST_NAMED_STRENGTH, le=MOST_NAMED_STRENGTH)]
_Side = Annotated[int, Field(ge=8, le=32_768)]  # pixels
_Tags = Annotated[list[_Prompt], Field(max_length=10_000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _LoraUse(_Part):
    name: _Name
    training_id: _Hash
    snapshot: int = Field(ge=0, le=1_000_000)
    strength: _Strength
    te_strength: _Strength | None = None
    sha256: _Hash = ""
    source: _Name = ""


class _EmbeddingUse(_Part):
    name: _Name
    sha256: _Hash


class _PictureUse(_Part):
    path: Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]
    sha256: _Hash


class _Imported(_Part):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    file: _Name
    tool: _Name = ""
    model: _Name = ""
    note: _Name = ""


class _Mask(_Part):
    blur: int = Field(ge=0, le=MOST_MASK_BLUR)
    box: Annotated[list[Annotated[int, Field(ge=0, le=32_768)]], Field(min_length=4, max_length=4)] | None
    picture: _PictureUse | None
    padding: int | None = Field(None, ge=0, le=MOST_MASK_PADDING)

    @model_validator(mode="after")
    def _is_one_area(self) -> "_Mask":
        if (self.box is None) == (self.picture is None):
            raise ValueError("it needs either a box or a picture")
        return self


class _Start(_Part):
    denoising_strength: float = Field(ge=0, le=1)
    picture: _PictureUse | None
    shot: "_Shot | None"
    mask: _Mask | None

    @model_validator(mode="after")
    def _is_one_start(self) -> "_Start":
        if (self.picture is None) == (self.shot is None):
            raise ValueError("it needs either a picture or a shot")
        return self


class _Shot(_Part):
    prompt: _Prompt
    negative_prompt: _Prompt
    seed: int = Field(ge=0, lt=2**32)
    steps: int = Field(ge=1, le=MOST_STEPS)
    sampler: Annotated[str, Field(min_length=1, max_length=64)]
    cfg_scale: float = Field(ge=LEAST_CFG_SCALE, le=MOST_CFG_SCALE)
    width: _Side
    height: _Side
    base_model: Annotated[str, Field(max_length=4096)]
    base_model_hash: _Hash
    loras: Annotated[list[_LoraUse], Field(max_length=MOST_NETWORKS)]
    clip_skip: int = Field(1, ge=1, le=MOST_CLIP_SKIP)
    start: _Start | None = None
    embeddings: Annotated[list[_EmbeddingUse], Field(max_length=MOST_NETWORKS)] = []
    schedule: Annotated[str, Field(max_length=64)] = ""
    imported: _Imported | None = None
    recipe: Annotated[str, Field(max_length=64)]
    eliminated: _Tags
    added: _Tags
    mended_from: Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$")] = ""

    @model_validator(mode="after")
    def _has_a_possible_size(self) -> "_Shot":
        if self.width * self.height > MOST_PIXELS:
            raise ValueError(f"{self.width}x{self.height} is more than {MOST_PIXELS:,} pixels")
        return self


def check(data: Any, where: str) -> None:
    """Check a shot's JSON.

    Args:
        data: the parsed JSON.
        where: the beginning of a message, such as `picture /path/name.png: its shot cannot be read`.

    Raises:
        UserError: a field is missing, unknown, or has another type, range or length; the message names it.
    """
    reading.shaped(_Shot, data, where, _REMEDY)
