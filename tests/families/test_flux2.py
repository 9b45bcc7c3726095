"""FLUX.2 klein against diffusers' own pipeline, with random weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import Flux2KleinPipeline

from bootstrap.drawing.engine import draw_batches
from bootstrap.models import latents as codec
from bootstrap.models import loading, specs
from bootstrap.models.family import BaseModel
from bootstrap.shots import Shot
from tests.families import tiny_transformers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_transformers.flux2_klein(tmp_path_factory.mktemp("flux2"))


@pytest.fixture(scope="module")
def base(folder: Path) -> BaseModel:
    return loading.hold(specs.find(str(folder)))


PROMPT, OTHER = "a woman in a blue blazer, holding an apple", "a man, " * 9


@pytest.mark.parametrize("cfg_scale", [1.0, 4.0])
@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_drawing(base: BaseModel, folder: Path, cfg_scale: float, size: tuple[int, int]) -> None:
    width, height = size
    shot = Shot(
        prompt=PROMPT, negative_prompt="", seed=7, steps=5, cfg_scale=cfg_scale, sampler="Euler",
        schedule="Automatic", width=width, height=height, clip_skip=1, base_model="tiny", base_model_hash=base.hash,
        loras=(),
    )  # fmt: skip
    [[drawn]] = list(draw_batches(base, [shot], {}, 1))
    pipeline = Flux2KleinPipeline.from_pretrained(folder)
    noise = torch.randn(codec.shape(base, width, height), generator=torch.Generator().manual_seed(7))[None]
    wanted = pipeline(
        prompt=PROMPT,
        height=height,
        width=width,
        num_inference_steps=5,
        guidance_scale=cfg_scale,
        latents=noise,
    ).images[0]
    difference = np.abs(np.asarray(drawn.picture).astype(int) - np.asarray(wanted).astype(int))
    assert difference.max() <= 2
