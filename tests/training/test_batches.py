"""The caption of a step, and its batch."""

import random
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.models.family import BaseModel
from bootstrap.project.settings import TrainingSection
from bootstrap.training.batches import BatchMaker, caption_for_step
from bootstrap.training.identity import Example
from bootstrap.training.latents import encode

TAGS = ["woman", "red apple", "teal wall", "window", "smile"]
CAPTION = ", ".join(TAGS)


def captions_of(count: int = 400, **changes: object) -> list[str]:
    settings = TrainingSection.model_validate(changes)
    return [caption_for_step(TAGS, settings, random.Random(seed)) for seed in range(count)]


def test_by_default_every_step_sees_the_caption_as_it_is() -> None:
    assert set(captions_of()) == {CAPTION}


@given(st.integers(0, 6), st.integers(0, 999))
def test_shuffling_keeps_the_first_tags_in_place(keep_tokens: int, seed: int) -> None:
    settings = TrainingSection(shuffle_caption=True, keep_tokens=keep_tokens)
    tags = caption_for_step(TAGS, settings, random.Random(seed)).split(", ")
    assert tags[:keep_tokens] == TAGS[:keep_tokens]
    assert sorted(tags) == sorted(TAGS)


def test_caption_dropout_drops_the_whole_caption_at_its_rate() -> None:
    seen = captions_of(caption_dropout_rate=0.25)
    assert set(seen) == {CAPTION, ""}
    assert 0.18 < seen.count("") / len(seen) < 0.32


def test_tag_dropout_thins_out_all_but_the_kept_tags() -> None:
    seen = [caption.split(", ") for caption in captions_of(caption_tag_dropout_rate=0.5, keep_tokens=2)]
    assert all(tags[:2] == TAGS[:2] for tags in seen)
    windows = sum("window" in tags for tags in seen) / len(seen)
    assert 0.4 < windows < 0.6


@pytest.fixture(scope="module")
def example(originals: Path) -> Example:
    return Example(str(originals / "badge.png"), "badge", CAPTION, 1, (128, 128))


def test_a_step_makes_the_same_batch_each_time_and_another_one_than_the_next(
    papertown: BaseModel, example: Example, tmp_path: Path
) -> None:
    maker = BatchMaker(papertown, [example], TrainingSection(flip_aug=True, noise_offset=0.1), tmp_path)
    batch, repeated, next_batch = (
        maker.make_batch([0, 0], 5),
        maker.make_batch([0, 0], 5),
        maker.make_batch([0, 0], 6),
    )
    assert batch.latents.shape == batch.noise.shape == (2, papertown.geometry.latent_channels, 16, 16)
    assert torch.equal(batch.noise, repeated.noise)
    assert torch.equal(batch.latents, repeated.latents)
    assert torch.equal(batch.timesteps, repeated.timesteps)
    assert not torch.equal(batch.noise, next_batch.noise)


def test_noise_offset_shifts_each_channel_as_a_whole(
    papertown: BaseModel, example: Example, tmp_path: Path
) -> None:
    plain = BatchMaker(papertown, [example], TrainingSection(), tmp_path).make_batch([0] * 8, 3)
    shifted = BatchMaker(papertown, [example], TrainingSection(noise_offset=0.5), tmp_path).make_batch(
        [0] * 8, 3
    )
    shift = shifted.noise - plain.noise
    assert torch.allclose(shift, shift.mean(dim=(2, 3), keepdim=True).expand_as(shift), atol=1e-5)
    assert 0.3 < shift.std() < 0.7


def test_flip_aug_shows_the_picture_and_its_mirror_image(
    papertown: BaseModel, example: Example, tmp_path: Path
) -> None:
    maker = BatchMaker(papertown, [example], TrainingSection(flip_aug=True), tmp_path)
    plain = encode(papertown, Path(example.path), (128, 128)).mean
    mirrored = encode(papertown, Path(example.path), (128, 128), mirrored=True).mean
    nearer = []
    for step in range(24):
        latent = maker.make_batch([0], step).latents[0]
        to_plain, to_mirrored = (latent - plain).abs().mean(), (latent - mirrored).abs().mean()
        assert min(to_plain, to_mirrored) < 0.75 * max(to_plain, to_mirrored)
        nearer.append(bool(to_mirrored < to_plain))
    assert 4 < sum(nearer) < 20
