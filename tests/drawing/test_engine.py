"""The engine: a picture depends on its shot alone."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from bootstrap.drawing import engine
from bootstrap.models.family import BaseModel
from bootstrap.project.settings import SAMPLERS
from bootstrap.shots import LoraUse, Shot
from tests.lora.test_merge import random_lora

LORA = LoraUse("random", "t", 1, 0.7)


def shot(base: BaseModel, seed: int, prompt: str = "woman, red apple", **changes: object) -> Shot:
    made = Shot(prompt, "", seed, 4, "DDIM", 3.0, 128, 128, "papertown", base.hash, (LORA,))
    return dataclasses.replace(made, **changes)


def draw(base: BaseModel, shots: list[Shot], batch_size: int = 16) -> dict[str, np.ndarray]:
    loras = {use: random_lora(base, 1) for each in shots for use in each.loras}
    batches = list(engine.draw_batches(base, shots, loras, batch_size))
    assert all(len(batch) <= batch_size for batch in batches)
    return {
        drawing.shot.id: np.asarray(drawing.picture, dtype=np.int16) for batch in batches for drawing in batch
    }


def test_a_picture_is_the_same_alone_and_in_a_batch_of_sixteen(papertown: BaseModel) -> None:
    prompts = ("woman, red apple", "man, blue ball, outdoors, beach")
    shots = [shot(papertown, seed, prompts[seed % 2]) for seed in range(16)]
    together = draw(papertown, shots)
    for chosen in (shots[0], shots[9]):
        (alone,) = draw(papertown, [chosen], batch_size=1).values()
        assert np.abs(alone - together[chosen.id]).max() <= 2
    assert len({picture.tobytes() for picture in together.values()}) == 16


def test_a_picture_is_the_same_beside_a_prompt_of_more_chunks(papertown: BaseModel) -> None:
    short, long = shot(papertown, 1), shot(papertown, 2, ", ".join(f"red apple {n}" for n in range(60)))
    together = draw(papertown, [short, long, dataclasses.replace(short, seed=3, negative_prompt=long.prompt)])
    (alone,) = draw(papertown, [short]).values()
    assert np.abs(alone - together[short.id]).max() <= 2
    assert len(together) == 3


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_the_same_picture_twice(papertown: BaseModel, sampler: str) -> None:
    repeated = shot(papertown, 3, sampler=sampler, steps=6)
    first = draw(papertown, [repeated])[repeated.id]
    second = draw(papertown, [shot(papertown, 4, sampler=sampler, steps=6), repeated])[repeated.id]
    assert np.abs(first - second).max() <= 2
    assert first.std() > 5  # not a blank picture


def test_shots_of_a_group_are_drawn_together(papertown: BaseModel) -> None:
    strong = (dataclasses.replace(LORA, strength=1.0),)
    mixed = [shot(papertown, n, loras=strong if n % 2 else (LORA,)) for n in range(6)]
    order = engine.in_drawing_order(mixed)
    assert [each.seed for each in order] == [0, 2, 4, 1, 3, 5]
    assert set(draw(papertown, mixed)) == {each.id for each in mixed}


def test_strength_negative_prompt_and_cfg_scale_change_the_picture(papertown: BaseModel) -> None:
    plain = shot(papertown, 1)
    changed = [
        shot(papertown, 1, loras=()),
        shot(papertown, 1, negative_prompt="man, outdoors"),
        shot(papertown, 1, cfg_scale=1.0),
    ]
    pictures = draw(papertown, [plain, *changed])
    for each in changed:
        assert np.abs(pictures[each.id] - pictures[plain.id]).mean() > 0.5


def test_size_and_prompts_beyond_75_tokens(papertown: BaseModel) -> None:
    long = ", ".join(f"red apple {n}" for n in range(60))
    pictures = draw(
        papertown, [shot(papertown, 1, long, width=96, height=160), shot(papertown, 2, width=96, height=160)]
    )
    assert {picture.shape for picture in pictures.values()} == {(160, 96, 3)}


def test_decoding_gives_rgb_pictures(papertown: BaseModel) -> None:
    import torch

    from bootstrap.models import latents

    (picture,) = latents.to_pictures(papertown, torch.zeros(1, papertown.geometry.latent_channels, 16, 16))
    assert isinstance(picture, Image.Image)
    assert (picture.mode, picture.size) == ("RGB", (128, 128))
