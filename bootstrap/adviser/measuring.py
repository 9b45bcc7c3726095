"""How close each snapshot comes to the original, and how flexible it has stayed.

All three measures are relative to the base model, so that they mean the same with every one:

closeness    Likeness (see bootstrap.pictures.features) of the original and the caption drawn at strength 1.0; 0 is
             what the base model alone comes to with the same seeds, 1 is the same picture.
freedom      Likeness of an unrelated prompt drawn at strength 1.0 and drawn by the base model with the same seed;
             0 is how alike the base model's pictures of different prompts are, 1 is the same picture.
elimination  By how much a tag is less to be seen (see bootstrap.adviser.evidence) when the prompt leaves it out, at
             strength 0.8; 0 is not at all, 1 is as much as with the base model alone. Those tags of the caption are
             taken that the base model sees most clearly in the original; what it does not know, it cannot judge.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from PIL import Image

from bootstrap import captions
from bootstrap.adviser.evidence import evidence
from bootstrap.catalog.advices import Measurement
from bootstrap.drawing import engine
from bootstrap.lora.kohya import LoraFile
from bootstrap.models.family import BaseModel
from bootstrap.pictures.features import embed
from bootstrap.shots import LoraUse, Shot

_CAPTION_SEEDS = (1, 2, 3, 4)
_UNRELATED_SEED = 11  # of the first prompt, and counting up
_ELIMINATION_SEEDS = (1, 2)
_MOST_TAGS = 3
_FULL, _ELIMINATING = 1.0, 0.8  # strengths

_T = TypeVar("_T")


@dataclass(frozen=True)
class Task:
    """What is drawn to measure a snapshot."""

    original: Image.Image  # at the size of the shots
    tags: list[str]  # of the caption
    unrelated: list[str]  # prompts, two at least
    common: Shot  # what all shots share; without a LoRA
    batch_size: int


@dataclass(frozen=True)
class _Series(Generic[_T]):
    """Something for each drawing: its shot, its picture."""

    captioned: list[_T]  # one a seed
    unrelated: list[_T]  # one a prompt
    complete: list[_T]  # the caption, one a tag and seed
    eliminated: list[_T]  # without the tag, one a tag and seed


@dataclass(frozen=True)
class _Reference:
    """What the base model alone does."""

    original: np.ndarray  # (d,)
    closeness: float
    unrelated: np.ndarray  # (prompts, d)
    others: np.ndarray  # (prompts,): how alike a prompt's picture and those of the other prompts are
    tags: list[str]  # those to eliminate
    elimination: float  # mean fall of evidence when a tag is left out; 0.0 without tags


def measure(
    base: BaseModel, task: Task, snapshots: Iterable[tuple[LoraUse, LoraFile]]
) -> Iterator[Measurement]:
    """Measure snapshots, one after the other.

    Args:
        base: without any LoRA; both task and snapshots were made for it.
        task: what to draw.
        snapshots: each with its file, read when its turn comes; the strength of the use does not count.
    """
    reference = _reference(base, task)
    for use, file in snapshots:
        pictures = _draw(base, task, reference.tags, use, file)
        vectors = embed(base, [*pictures.captioned, *pictures.unrelated], task.batch_size)
        captioned, unrelated = vectors[: len(_CAPTION_SEEDS)], vectors[len(_CAPTION_SEEDS) :]
        close = _likeness(captioned, reference.original).mean()
        free = _likeness(unrelated, reference.unrelated)
        elimination = None
        if reference.tags:
            fall = _fall_of_evidence(base, task, reference.tags, pictures).mean()
            elimination = min(1.0, max(0.0, float(fall) / reference.elimination))
        yield Measurement(
            use.snapshot,
            float((close - reference.closeness) / (1 - reference.closeness)),
            float(((free - reference.others) / (1 - reference.others)).mean()),
            elimination,
        )


def _reference(base: BaseModel, task: Task) -> _Reference:
    tags = _clearest_tags(base, task)
    pictures = _draw(base, task, tags, None, None)
    vectors = embed(base, [task.original, *pictures.captioned, *pictures.unrelated], task.batch_size)
    original, captioned = vectors[0], vectors[1 : 1 + len(_CAPTION_SEEDS)]
    unrelated = vectors[1 + len(_CAPTION_SEEDS) :]
    alike = unrelated @ unrelated.T
    count = len(unrelated)
    falls = _fall_of_evidence(base, task, tags, pictures).reshape(len(tags), -1)
    # A tag that stays now and then although it is left out is one that the base model does not know.
    known = [bool((of_tag > 0).all()) for of_tag in falls]
    return _Reference(
        original=original,
        closeness=float(_likeness(captioned, original).mean()),
        unrelated=unrelated,
        others=(alike.sum(axis=1) - alike.diagonal()) / (count - 1),
        tags=[tag for tag, is_known in zip(tags, known, strict=True) if is_known],
        elimination=float(falls[known].mean()) if any(known) else 0.0,
    )


def _likeness(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cosines of vectors of length 1, row by row: (n,)."""
    return (one * other).sum(axis=-1)


def _clearest_tags(base: BaseModel, task: Task) -> list[str]:
    """The tags that the base model sees most clearly in the original; never the first one, the subject."""
    tags = task.tags[1:]
    caption = captions.join(task.tags)
    without = [captions.join(captions.without(task.tags, [tag])) for tag in tags]
    seen = evidence(
        base, [task.original] * len(tags), [caption] * len(tags), without, task.batch_size,
        task.common.clip_skip,
    )  # fmt: skip
    return [tags[index] for index in np.argsort(-seen, kind="stable")[:_MOST_TAGS]]


def _fall_of_evidence(
    base: BaseModel, task: Task, tags: list[str], pictures: _Series[Image.Image]
) -> np.ndarray:
    """By how much less a tag is to be seen when it is left out: (tags * seeds,)."""
    caption = captions.join(task.tags)
    without = [captions.join(captions.without(task.tags, [tag])) for tag in tags for _ in _ELIMINATION_SEEDS]
    seen = evidence(
        base, [*pictures.complete, *pictures.eliminated], [caption] * 2 * len(without), without * 2,
        task.batch_size, task.common.clip_skip,
    )  # fmt: skip
    return seen[: len(without)] - seen[len(without) :]


def _draw(
    base: BaseModel, task: Task, tags: list[str], use: LoraUse | None, file: LoraFile | None
) -> _Series[Image.Image]:
    """Draw with a snapshot, or with the base model alone; the same shot only once."""
    shots = _shots(task, tags, use)
    everything = [*shots.captioned, *shots.unrelated, *shots.complete, *shots.eliminated]
    distinct = list({shot.id: shot for shot in everything}.values())
    files = {lora: file for shot in distinct for lora in shot.loras if file is not None}
    pictures = {
        drawing.shot.id: drawing.picture
        for batch in engine.draw(base, distinct, files, task.batch_size)
        for drawing in batch
    }
    return _Series(
        [pictures[shot.id] for shot in shots.captioned],
        [pictures[shot.id] for shot in shots.unrelated],
        [pictures[shot.id] for shot in shots.complete],
        [pictures[shot.id] for shot in shots.eliminated],
    )


def _shots(task: Task, tags: list[str], use: LoraUse | None) -> _Series[Shot]:
    def shot(prompt: str, seed: int, strength: float) -> Shot:
        loras = (replace(use, strength=strength),) if use else ()
        return replace(task.common, prompt=prompt, seed=seed, loras=loras)

    caption = captions.as_prompt(task.tags)
    pairs = [(tag, seed) for tag in tags for seed in _ELIMINATION_SEEDS]
    return _Series(
        [shot(caption, seed, _FULL) for seed in _CAPTION_SEEDS],
        [shot(prompt, _UNRELATED_SEED + index, _FULL) for index, prompt in enumerate(task.unrelated)],
        [shot(caption, seed, _ELIMINATING) for _, seed in pairs],
        [
            shot(captions.as_prompt(captions.without(task.tags, [tag])), seed, _ELIMINATING)
            for tag, seed in pairs
        ],
    )
