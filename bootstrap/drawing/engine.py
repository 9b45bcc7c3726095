"""The drawing engine: draw shots in groups that share one LoRA merge, in full batches, each prompt encoded once."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from bootstrap.drawing import prompts
from bootstrap.drawing.denoising import Pictures, draw_batch
from bootstrap.errors import UserError
from bootstrap.lora.kohya import LoraFile
from bootstrap.lora.merge import merged
from bootstrap.models.conditioning import Conditioning
from bootstrap.models.family import BaseModel
from bootstrap.shots import LoraUse, Shot

_log = logging.getLogger(__name__)
_STARTS_AT_ONCE = 64  # first-pass pictures held in memory at a time


@dataclass(frozen=True)
class Drawing:
    """A shot and its picture."""

    shot: Shot
    picture: Image.Image


def _group(shot: Shot) -> tuple[object, ...]:
    """Return what the shots of one batch have in common."""
    start = shot.start
    begun = start and (start.denoising_strength, start.shot is None, start.mask is None)
    return (
        shot.base_model_hash, shot.loras, shot.width, shot.height, shot.sampler, shot.schedule, shot.steps,
        shot.cfg_scale, shot.clip_skip, shot.embeddings, begun,
    )  # fmt: skip


def _groups(shots: Sequence[Shot]) -> list[list[Shot]]:
    """Return the groups, base model by base model, each in the order of its first shot."""
    by_model: dict[str, dict[tuple[object, ...], list[Shot]]] = {}
    for shot in shots:
        by_model.setdefault(shot.base_model_hash, {}).setdefault(_group(shot), []).append(shot)
    return [group for groups in by_model.values() for group in groups.values()]


def in_drawing_order(shots: Sequence[Shot]) -> list[Shot]:
    """Return the shots sorted by base model and group, both in the order of their first shot."""
    return [shot for group in _groups(shots) for shot in group]


def draw_batches(
    base: BaseModel,
    shots: Sequence[Shot],
    loras: dict[LoraUse, LoraFile],
    batch_size: int,
    pictures: Pictures | None = None,
) -> Iterator[list[Drawing]]:
    """Draw shots, a batch at a time.

    A picture depends on its shot alone: its noise comes from its own seed, whatever batch it is in. A batch that
    does not fit into memory is halved, and the rest of its shots go into the next one.

    Args:
        base: the base model of all shots, without any LoRA. Its weights are restored when the iterator ends or is
            closed.
        shots: in any order; they are drawn in the order of in_drawing_order.
        loras: the file of each LoRA that any pass of a shot uses.
        batch_size: pictures per batch, at most.
        pictures: the files that shots start from and their masks, by SHA-256.

    Yields:
        The drawings of each batch.

    Raises:
        UserError: a LoRA does not fit the base model, or not even one picture fits into memory.
    """
    fitting: dict[
        tuple[int, int], int
    ] = {}  # batch size by picture size, where batch_size did not fit into memory
    for group in _groups(shots):
        from_shots = group[0].start is not None and group[0].start.shot is not None
        at_once = _STARTS_AT_ONCE if from_shots else len(group)
        for first in range(0, len(group), at_once):
            part = group[first : first + at_once]
            begun = {**(pictures or {}), **_first_passes(base, part, loras, batch_size, pictures)}
            with merged(base, [(loras[use], use.strengths) for use in part[0].loras]):
                yield from _drawn(base, part, batch_size, begun, fitting)


def _first_passes(
    base: BaseModel,
    shots: Sequence[Shot],
    loras: dict[LoraUse, LoraFile],
    batch_size: int,
    pictures: Pictures | None,
) -> dict[str, Image.Image]:
    """Return the pictures of the shots that these start from, by id; each is drawn once."""
    first = {shot.start.shot.id: shot.start.shot for shot in shots if shot.start and shot.start.shot}
    return {
        drawing.shot.id: drawing.picture
        for batch in draw_batches(base, list(first.values()), loras, batch_size, pictures)
        for drawing in batch
    }


def _drawn(
    base: BaseModel,
    shots: Sequence[Shot],
    batch_size: int,
    pictures: Pictures,
    fitting: dict[tuple[int, int], int],
) -> Iterator[list[Drawing]]:
    """Draw shots of one group, with its LoRAs merged in."""
    size = shots[0].width, shots[0].height
    for lengths, alike in _by_lengths(base, shots).items():
        encoded: dict[prompts.Encoded, Conditioning] = {}
        done = 0
        while done < len(alike):
            batch = alike[done : done + fitting.get(size, batch_size)]
            drawn = _try(base, batch, prompts.Prompts(base, batch, lengths, encoded), pictures)
            if drawn is None:
                fitting[size] = len(batch) // 2
                _log.warning(
                    "a batch of %d pictures does not fit into memory; continuing with batches of %d",
                    len(batch),
                    fitting[size],
                )
                continue
            yield drawn
            done += len(batch)


def _try(
    base: BaseModel, batch: Sequence[Shot], batch_prompts: prompts.Prompts, pictures: Pictures
) -> list[Drawing] | None:
    """Draw a batch. Return None if memory ran out; the batch's memory is free again then."""
    try:
        drawn = draw_batch(base, batch, batch_prompts, pictures)
        return [Drawing(shot, picture) for shot, picture in zip(batch, drawn, strict=True)]
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        if len(batch) == 1:
            raise UserError(
                f"drawing: not even one picture of {batch[0].width}x{batch[0].height} fits into memory; set a "
                "smaller width and height, or use a machine with more memory"
            ) from error
    if base.device.type == "cuda":
        torch.cuda.empty_cache()
    return None


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _by_lengths(base: BaseModel, shots: Sequence[Shot]) -> dict[prompts.Lengths, list[Shot]]:
    """Group shots by the lengths of their prompts.

    A shorter prompt beside a longer one would be padded, which changes the picture.
    """
    groups: dict[prompts.Lengths, list[Shot]] = {}
    for shot in shots:
        groups.setdefault(prompts.lengths(base, shot), []).append(shot)
    return groups
