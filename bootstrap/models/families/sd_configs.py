"""The configuration files of a Stable Diffusion model in diffusers' layout: which keys matter here, and their types."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bootstrap import reading
from bootstrap.models import checkpoint

_Blocks = Annotated[list[str], Field(min_length=1, max_length=16)]
_Channels = Annotated[list[Annotated[int, Field(ge=1, le=65_536)]], Field(min_length=1, max_length=16)]


class _Config(BaseModel):
    """Keys that are not named do not matter here; diffusers reads them. A missing key is told by who needs it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _UNet(_Config):
    sample_size: int = Field(64, ge=1, le=4096)
    in_channels: int = Field(4, ge=1, le=64)
    down_block_types: _Blocks = [""]


class _Vae(_Config):
    block_out_channels: _Channels = [1]


class _TextEncoder(_Config):
    hidden_size: int = Field(768, ge=1, le=65_536)
    num_hidden_layers: int = Field(12, ge=1, le=1000)


class _Scheduler(_Config):
    prediction_type: Annotated[str, Field(max_length=64)] = "epsilon"


_SHAPES: dict[str, type[_Config]] = {
    "unet": _UNet,
    "vae": _Vae,
    "text_encoder": _TextEncoder,
    "scheduler": _Scheduler,
}


def read(path: Path | None, part: str) -> dict[str, Any]:
    """Read the configuration of a part; {} if there is none.

    Args:
        part: unet, vae, text_encoder or scheduler.

    Raises:
        UserError: it is not valid JSON, or a key that matters here has another type or range.
    """
    config = checkpoint.read_json(path)
    reading.shaped(_SHAPES[part], config, f"base model: {path}", "download the model again")
    return config
