"""Shots that start from pictures: img2img, hires, inpainting in rounds; and batches that do not fit into memory."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from bootstrap import images
from bootstrap.drawing import engine
from bootstrap.drawing.denoising import masked_region
from bootstrap.errors import UserError
from bootstrap.models import small_cpu
from bootstrap.models.family import BaseModel
from bootstrap.project.settings import SAMPLERS
from bootstrap.shots import LoraUse, Mask, PictureUse, Shot, Start
from tests.lora.test_merge import random_lora
from tests.making import scene

LORA = LoraUse("random", "t", 1, 0.7)
ORIGINAL = PictureUse("original.png", "a" * 64)
MASK = PictureUse("mask.png", "m" * 64)
BOX = (32, 40, 80, 96)


def mask_picture() -> Image.Image:
    """White in BOX."""
    drawn = Image.new("RGB", (128, 128))
    ImageDraw.Draw(drawn).rectangle((BOX[0], BOX[1], BOX[2] - 1, BOX[3] - 1), fill="white")
    return drawn


PICTURES = {ORIGINAL.sha256: scene(1), MASK.sha256: mask_picture()}


def shot(base: BaseModel, seed: int = 1, **changes: object) -> Shot:
    made = Shot("woman, red apple", "", seed, 4, "DDIM", 3.0, 128, 128, "papertown", base.hash, (LORA,))
    return dataclasses.replace(made, **changes)


def started(base: BaseModel, denoising_strength: float, seed: int = 1, **changes: Any) -> Shot:
    mask = changes.pop("mask", None)
    return shot(base, seed, start=Start(denoising_strength, picture=ORIGINAL, mask=mask), **changes)


def hires(base: BaseModel, seed: int, strength: float = 0.4) -> Shot:
    first = shot(base, seed, width=96, height=96)
    return dataclasses.replace(first, width=144, height=144, start=Start(strength, shot=first))


def draw(base: BaseModel, shots: list[Shot], batch_size: int = 16) -> dict[str, np.ndarray]:
    loras = {use: random_lora(base, 1) for shot in shots for each in shot.passes for use in each.loras}
    batches = list(engine.draw_batches(base, shots, loras, batch_size, PICTURES))
    return {
        drawing.shot.id: np.asarray(drawing.picture, dtype=np.int16) for batch in batches for drawing in batch
    }


@settings(deadline=None)
@given(
    st.tuples(st.integers(32, 200), st.integers(32, 200)),
    st.tuples(*[st.floats(0, 1)] * 4),
    st.integers(0, 64),
)
def test_the_region_of_a_mask_holds_it_and_has_the_pictures_proportions(
    size: tuple[int, int], corners: tuple[float, ...], padding: int
) -> None:
    xs, ys = (
        sorted(round(share * (side - 1)) for share in pair)
        for side, pair in zip(size, (corners[:2], corners[2:]), strict=True)
    )
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle((xs[0], ys[0], xs[1], ys[1]), fill=255)
    left, top, right, bottom = masked_region(mask, padding)
    assert 0 <= left <= max(0, xs[0] - padding) and 0 <= top <= max(0, ys[0] - padding)
    assert min(size[0], xs[1] + 1 + padding) <= right <= size[0]
    assert min(size[1], ys[1] + 1 + padding) <= bottom <= size[1]
    assert abs((right - left) * size[1] - (bottom - top) * size[0]) <= max(size)


def test_only_masked_draws_the_region_enlarged_and_leaves_the_rest(papertown: BaseModel) -> None:
    small = (32, 40, 60, 70)
    drawn = draw(
        papertown,
        [started(papertown, 0.9, mask=Mask(0, box=small, padding=padding)) for padding in (None, 4, 8)],
    )
    assert len(drawn) == 3
    original = np.asarray(images.fit(PICTURES[ORIGINAL.sha256], 128, 128), dtype=np.int16)
    inside = np.zeros((128, 128), dtype=bool)
    inside[small[1] : small[3], small[0] : small[2]] = True
    for picture in drawn.values():
        assert (picture[~inside] == original[~inside]).all()
        assert np.abs(picture[inside] - original[inside]).mean() > 3
    first, second, third = drawn.values()
    assert np.abs(first - second).max() > 3 and np.abs(second - third).max() > 3


def distance(drawn: np.ndarray, reference: np.ndarray | Image.Image) -> float:
    return float(np.abs(drawn - np.asarray(reference, dtype=np.int16)).mean())


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_lower_the_denoising_strength_the_nearer_to_the_picture(
    papertown: BaseModel, sampler: str
) -> None:
    weak, strong = started(papertown, 0.2, sampler=sampler), started(papertown, 0.9, sampler=sampler)
    drawn = draw(papertown, [weak, strong])
    original = PICTURES[ORIGINAL.sha256]
    assert distance(drawn[weak.id], original) < distance(drawn[strong.id], original)


def test_as_many_steps_are_done_as_the_shot_says(
    papertown: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted_rows(monkeypatch)
    draw(papertown, [started(papertown, 0.3, steps=5)])
    assert len(calls) == 5


@pytest.mark.parametrize("mask", [Mask(0, box=BOX), Mask(0, picture=MASK)], ids=["box", "picture"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_around_the_mask_every_pixel_stays(papertown: BaseModel, mask: Mask, sampler: str) -> None:
    inpainted = started(papertown, 0.9, mask=mask, sampler=sampler)
    drawn = draw(papertown, [inpainted])[inpainted.id]
    changed = np.abs(drawn - np.asarray(PICTURES[ORIGINAL.sha256], dtype=np.int16)).max(axis=2) > 0
    left, top, right, bottom = BOX
    inside = np.zeros_like(changed)
    inside[top:bottom, left:right] = True
    assert not changed[~inside].any()
    assert changed[inside].mean() > 0.9


def test_mask_blur_softens_the_edge_and_nothing_far_from_it(papertown: BaseModel) -> None:
    inpainted = started(papertown, 0.9, mask=Mask(4, box=BOX))
    drawn = draw(papertown, [inpainted])[inpainted.id]
    changed = np.abs(drawn - np.asarray(PICTURES[ORIGINAL.sha256], dtype=np.int16)).max(axis=2) > 0
    left, top, right, bottom = BOX
    assert changed[top:bottom, left - 3 : left].any()
    changed[top - 16 : bottom + 16, left - 16 : right + 16] = False
    assert not changed.any()


def test_a_round_starts_from_the_picture_of_the_round_before(papertown: BaseModel) -> None:
    first = started(papertown, 0.9, mask=Mask(0, box=BOX))
    weaker = (dataclasses.replace(LORA, strength=0.3),)
    below = Mask(0, box=(8, 104, 120, 120))
    second = shot(papertown, 2, loras=weaker, start=Start(0.9, shot=first, mask=below))
    drawn = draw(papertown, [second, first])
    left, top, right, bottom = BOX
    same = (slice(top, bottom), slice(left, right))
    assert np.array_equal(drawn[second.id][same], drawn[first.id][same])
    assert not np.array_equal(drawn[second.id][104:120, 8:120], drawn[first.id][104:120, 8:120])


def test_hires_draws_the_small_picture_larger(papertown: BaseModel) -> None:
    shot = hires(papertown, 3)
    drawn = draw(papertown, [shot, *shot.passes[:1]])
    assert drawn[shot.id].shape == (144, 144, 3)
    small = Image.fromarray(drawn[shot.passes[0].id].astype(np.uint8))
    stranger = hires(papertown, 4)
    unrelated = draw(papertown, [stranger])[stranger.id]
    upscaled = images.fit(small, 144, 144)
    assert distance(drawn[shot.id], upscaled) < distance(unrelated, upscaled)


@pytest.mark.parametrize("kind", ["hires", "inpaint"])
def test_a_picture_is_the_same_alone_and_in_a_batch_of_sixteen(papertown: BaseModel, kind: str) -> None:
    def made(seed: int) -> Shot:
        if kind == "hires":
            return hires(papertown, seed)
        return started(papertown, 0.7, seed, mask=Mask(4, box=BOX))

    shots = [made(seed) for seed in range(16)]
    together = draw(papertown, shots)
    for chosen in (shots[0], shots[9]):
        (alone,) = draw(papertown, [chosen], batch_size=1).values()
        assert np.abs(alone - together[chosen.id]).max() <= 2


def test_the_id_depends_on_what_a_shot_starts_from(papertown: BaseModel) -> None:
    inpainted = started(papertown, 0.7, mask=Mask(4, box=BOX))
    start = inpainted.start
    assert start is not None
    assert Shot.from_dict(inpainted.to_dict()) == inpainted
    second = shot(papertown, start=Start(0.4, shot=inpainted))
    assert Shot.from_dict(second.to_dict()) == second
    moved = dataclasses.replace(start, picture=PictureUse("elsewhere.png", ORIGINAL.sha256))
    assert dataclasses.replace(inpainted, start=moved).id == inpainted.id
    for changes in (
        {"denoising_strength": 0.6},
        {"picture": PictureUse(ORIGINAL.path, "b" * 64)},
        {"mask": None},
        {"mask": Mask(3, box=BOX)},
        {"mask": Mask(4, box=(0, 0, 8, 8))},
        {"mask": Mask(4, picture=MASK)},
    ):
        changed = dataclasses.replace(inpainted, start=dataclasses.replace(start, **changes))
        assert changed.id != inpainted.id
        assert shot(papertown, start=Start(0.4, shot=changed)).id != second.id


def counted_rows(monkeypatch: pytest.MonkeyPatch, most: int | None = None) -> list[int]:
    """Return a list that records the rows of each prediction; more than `most` rows do not fit into memory."""
    calls: list[int] = []
    predict = small_cpu.predict

    def wrapped(base: BaseModel, latents: torch.Tensor, *rest: Any) -> torch.Tensor:
        calls.append(len(latents))
        if most is not None and len(latents) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB")
        return predict(base, latents, *rest)

    monkeypatch.setattr(small_cpu, "predict", wrapped)
    return calls


def test_a_batch_that_does_not_fit_into_memory_is_halved_and_nothing_is_lost(
    papertown: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    shots = [shot(papertown, seed, steps=1) for seed in range(11)]
    wanted = draw(papertown, shots)
    calls = counted_rows(monkeypatch, most=6)  # a picture has two rows: with and without the prompt
    drawn = draw(papertown, shots, batch_size=8)
    assert calls == [16, 8, 4, 4, 4, 4, 4, 2]
    assert list(drawn) == list(wanted)
    assert all(np.abs(drawn[key] - wanted[key]).max() <= 2 for key in wanted)


def test_when_not_even_one_picture_fits_it_is_reported_in_one_line_and_the_weights_are_as_before(
    papertown: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: value.clone() for name, value in papertown.denoiser.state_dict().items()}
    counted_rows(monkeypatch, most=1)
    with pytest.raises(UserError, match="not even one picture of 128x128") as raised:
        draw(papertown, [shot(papertown, seed) for seed in range(4)])
    assert isinstance(raised.value.__cause__, torch.OutOfMemoryError)
    assert all(torch.equal(value, before[name]) for name, value in papertown.denoiser.state_dict().items())


def test_each_prompt_of_a_group_is_encoded_once(
    papertown: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    forward: Callable[..., Any] = papertown.text_encoders[0].forward

    def wrapped(tokens: torch.Tensor, *rest: Any, **named: Any) -> Any:
        encoded.append(len(tokens))
        return forward(tokens, *rest, **named)

    monkeypatch.setattr(papertown.text_encoders[0], "forward", wrapped)
    prompts = ("woman", "man", "robot")
    draw(papertown, [shot(papertown, n, prompt=prompts[n % 3], steps=1) for n in range(9)], batch_size=2)
    assert sum(encoded) == 4  # and the empty negative prompt
