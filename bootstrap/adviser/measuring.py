"""Measure how close each snapshot comes to the original, and how flexible it remains.

All three measures are relative to the base model, so that they mean the same for every base model:

closeness    Likeness (see bootstrap.pictures.features) of the original and of drawings of the caption at strength 1.0;
             0: the base model's drawings with the same seeds, 1: the same picture.
freedom      Likeness of drawings of unrelated prompts at strength 1.0 and the base model's with the same seeds;
             0: the usual likeness of the base model's drawings of different prompts, 1: the same picture.
elimination  Fall of the evidence for a tag (see bootstrap.adviser.evidence) when the prompt leaves it out, at strength
             0.8; 0: none, 1: as much as with the base model alone. It is measured with the tags of the caption that
             the base model sees most clearly in the original, as the base model cannot judge tags it does not know.
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
_UNRELATED_SEED = 11  # of the first prompt; each further prompt adds 1
_ELIMINATION_SEEDS = (1, 2)
_MOST_TAGS = 3
_FULL, _ELIMINATING = 1.0, 0.8  # strengths

_T = TypeVar("_T")


@dataclass(frozen=True)
class Task:
    """The drawings that measure a snapshot."""

    original: Image.Image  # at the size of the shots
    tags: list[str]  # of the caption
    unrelated: list[str]  # at least two prompts
    common: Shot  # the parameters that all shots share; without a LoRA
    batch_size: int


@dataclass(frozen=True)
class _Series(Generic[_T]):
    """One value per drawing, such as its shot or its picture."""

    captioned: list[_T]  # one per seed
    unrelated: list[_T]  # one per prompt
    complete: list[_T]  # the caption, one per tag and seed
    eliminated: list[_T]  # the caption without the tag, one per tag and seed


@dataclass(frozen=True)
class _Reference:
    """The measures of the base model alone."""

    original: np.ndarray  # (d,)
    closeness: float
    unrelated: np.ndarray  # (prompts, d)
    others: np.ndarray  # (prompts,): mean likeness of a prompt's picture and those of the other prompts
    tags: list[str]  # the tags to eliminate
    elimination: float  # mean fall of evidence when a tag is left out; 0.0 without tags


def measure(
    base: BaseModel, task: Task, snapshots: Iterable[tuple[LoraUse, LoraFile]]
) -> Iterator[Measurement]:
    """Measure snapshots, one after another.

    Args:
        base: without any LoRA; task and snapshots must be made for it.
        task: what to draw.
        snapshots: each with its file, read when its turn comes; the strength of the use is ignored.
    """
    reference = _reference(base, task)
    for use, file in snapshots:
        pictures = _draw_series(base, task, reference.tags, use, file)
        vectors = embed(base, [*pictures.captioned, *pictures.unrelated], task.batch_size)
        captioned, unrelated = vectors[: len(_CAPTION_SEEDS)], vectors[len(_CAPTION_SEEDS) :]
        likeness = _likeness(captioned, reference.original).mean()
        unrelated_likeness = _likeness(unrelated, reference.unrelated)
        elimination = None
        if reference.tags:
            fall = _fall_of_evidence(base, task, reference.tags, pictures).mean()
            elimination = min(1.0, max(0.0, float(fall) / reference.elimination))
        yield Measurement(
            use.snapshot,
            float((likeness - reference.closeness) / (1 - reference.closeness)),
            float(((unrelated_likeness - reference.others) / (1 - reference.others)).mean()),
            elimination,
        )


def _reference(base: BaseModel, task: Task) -> _Reference:
    tags = _clearest_tags(base, task)
    pictures = _draw_series(base, task, tags, None, None)
    vectors = embed(base, [task.original, *pictures.captioned, *pictures.unrelated], task.batch_size)
    original, captioned = vectors[0], vectors[1 : 1 + len(_CAPTION_SEEDS)]
    unrelated = vectors[1 + len(_CAPTION_SEEDS) :]
    likeness = unrelated @ unrelated.T
    count = len(unrelated)
    falls = _fall_of_evidence(base, task, tags, pictures).reshape(len(tags), -1)
    # If leaving a tag out does not always reduce its evidence, the base model does not know it.
    is_known_tag = [bool((of_tag > 0).all()) for of_tag in falls]
    return _Reference(
        original=original,
        closeness=float(_likeness(captioned, original).mean()),
        unrelated=unrelated,
        others=(likeness.sum(axis=1) - likeness.diagonal()) / (count - 1),
        tags=[tag for tag, is_known in zip(tags, is_known_tag, strict=True) if is_known],
        elimination=float(falls[is_known_tag].mean()) if any(is_known_tag) else 0.0,
    )


def _likeness(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosines of vectors of length 1, row by row: (n,)."""
    return (first * second).sum(axis=-1)


def _clearest_tags(base: BaseModel, task: Task) -> list[str]:
    """Return the tags that the base model sees most clearly in the original, never the first tag, the subject."""
    tags = task.tags[1:]
    caption = captions.join(task.tags)
    without = [captions.join(captions.without(task.tags, [tag])) for tag in tags]
    values = evidence(
        base, [task.original] * len(tags), [caption] * len(tags), without, task.batch_size,
        task.common.clip_skip,
    )  # fmt: skip
    return [tags[index] for index in np.argsort(-values, kind="stable")[:_MOST_TAGS]]


def _fall_of_evidence(
    base: BaseModel, task: Task, tags: list[str], pictures: _Series[Image.Image]
) -> np.ndarray:
    """Return by how much the evidence for each tag falls when the prompt leaves it out: (tags * seeds,)."""
    caption = captions.join(task.tags)
    without = [captions.join(captions.without(task.tags, [tag])) for tag in tags for _ in _ELIMINATION_SEEDS]
    values = evidence(
        base, [*pictures.complete, *pictures.eliminated], [caption] * 2 * len(without), without * 2,
        task.batch_size, task.common.clip_skip,
    )  # fmt: skip
    return values[: len(without)] - values[len(without) :]


def _draw_series(
    base: BaseModel, task: Task, tags: list[str], use: LoraUse | None, file: LoraFile | None
) -> _Series[Image.Image]:
    """Draw with a snapshot, or with the base model alone if `use` is None; draw equal shots only once."""
    shots = _series_of_shots(task, tags, use)
    all_shots = [*shots.captioned, *shots.unrelated, *shots.complete, *shots.eliminated]
    distinct = list({shot.id: shot for shot in all_shots}.values())
    files = {lora: file for shot in distinct for lora in shot.loras if file is not None}
    pictures = {
        drawing.shot.id: drawing.picture
        for batch in engine.draw_batches(base, distinct, files, task.batch_size)
        for drawing in batch
    }
    return _Series(
        [pictures[shot.id] for shot in shots.captioned],
        [pictures[shot.id] for shot in shots.unrelated],
        [pictures[shot.id] for shot in shots.complete],
        [pictures[shot.id] for shot in shots.eliminated],
    )


def _series_of_shots(task: Task, tags: list[str], use: LoraUse | None) -> _Series[Shot]:
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
