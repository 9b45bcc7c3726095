"""The inputs of a step: latents, noise, timesteps and captions, all from the seed and the step's number."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bootstrap import captions
from bootstrap.models.family import BaseModel
from bootstrap.project.settings import TrainingSection
from bootstrap.training.identity import Example
from bootstrap.training.latents import LatentCache


@dataclass(frozen=True)
class Batch:
    """The inputs of one step."""

    latents: torch.Tensor  # (batch, channels, height, width), float32
    noise: torch.Tensor  # same shape and type
    timesteps: torch.Tensor  # (batch,), of the family's own kind
    captions: list[str]


class BatchMaker:
    """Makes the batch of any step; encodes the pictures once, on construction."""

    def __init__(
        self, base: BaseModel, examples: list[Example], settings: TrainingSection, cache_folder: Path
    ) -> None:
        """Encode all pictures, and with flip_aug their mirror images.

        Args:
            cache_folder: the cache of encoded pictures, shared by all trainings of a project.

        Raises:
            UserError: a picture cannot be read.
        """
        self._settings = settings
        self._noise = base.family.noise(base, settings.flow)
        self._examples = examples
        cache = LatentCache(base, cache_folder)
        self._latents = [cache.latent(example) for example in examples]
        self._mirrored = [
            cache.latent(example, mirrored=True)
            if settings.flip_aug and not example.is_regularization
            else None
            for example in examples
        ]

    def make_batch(self, pictures: list[int], step: int) -> Batch:
        """Return the batch of these pictures for a step (numbered from 0)."""
        # No random state carries over between steps, so a resumed training computes the same steps.
        generator = torch.Generator().manual_seed(self._settings.seed * 1_000_003 + step)
        sampled, texts = [], []
        plan = plan_of_step(self._examples, self._settings, pictures, step)
        for index, (flipped, text) in zip(pictures, plan, strict=True):
            mirrored = self._mirrored[index]
            latent = mirrored if mirrored is not None and flipped else self._latents[index]
            sampled.append(latent.sample(generator))
            texts.append(text)
        stacked = torch.stack(sampled)
        noise = torch.randn(stacked.shape, generator=generator)
        height, width = stacked.shape[-2:]
        timesteps = self._noise.timesteps(len(sampled), generator, (height, width))
        if self._settings.noise_offset:
            noise += self._settings.noise_offset * torch.randn((*noise.shape[:2], 1, 1), generator=generator)
        return Batch(stacked, noise.to(stacked.device), timesteps.to(stacked.device), texts)


def plan_of_step(
    examples: Sequence[Example], settings: TrainingSection, pictures: Sequence[int], step: int
) -> list[tuple[bool, str]]:
    """Return for each picture of a step's batch whether it is mirrored, and its caption."""
    rng = random.Random(f"{settings.seed}/{step}")
    plan = []
    for index in pictures:
        example = examples[index]
        flipped = settings.flip_aug and not example.is_regularization and rng.random() < 0.5
        plan.append((flipped, caption_for_step(captions.parse(example.caption), settings, rng)))
    return plan


def caption_for_step(tags: list[str], settings: TrainingSection, rng: random.Random) -> str:
    """Return the caption of a step: dropped as a whole, or shuffled and with tags dropped.

    The order is kohya's (sd-scripts, library/train_util.py, `process_caption`): first caption_dropout_rate may drop
    the whole caption; otherwise the first keep_tokens tags stay, and the rest is shuffled and loses single tags.
    """
    if settings.caption_dropout_rate and rng.random() < settings.caption_dropout_rate:
        return ""
    leading_tags, other_tags = tags[: settings.keep_tokens], tags[settings.keep_tokens :]
    if settings.shuffle_caption:
        other_tags = captions.shuffle(other_tags, 0, rng)
    if settings.caption_tag_dropout_rate:
        other_tags = [tag for tag in other_tags if rng.random() >= settings.caption_tag_dropout_rate]
    return captions.join([*leading_tags, *other_tags])
